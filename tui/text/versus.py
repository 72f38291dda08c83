"""Two arms against each other, measure by measure: the difference as a picture, and what would settle it, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalog.measure_declaration import CONFIDENCE
from engine.recipe import Recipe
from engine.study.metrics_record import ArmMeasures, Estimate
from tui.text.answers.sentences import plural
from tui.text.compare import Difference, compare_arms, format_difference
from tui.text.contrasts import contrast
from tui.text.format import UNICODE, Symbols, format_number
from tui.text.recipes import describe_differences
from tui.text.superiority import find_superiority
from tui.text.tables import arm_name, make_columns
from tui.text.whiskers import draw_interval, find_place

MIDDLE = {True: "┊", False: "."}
"""Where equal arms would be, in Unicode and without."""

LEAST_PICTURE, MOST_PICTURE = 15, 41
"""Columns of a picture; an odd number has a middle."""


@dataclass(frozen=True)
class Contender:
    """One of two arms that are compared."""

    study: str
    arm: ArmMeasures
    recipe: Recipe | None = None
    """The recipe of its first run; None where it cannot be read."""
    accuracies: tuple[float, ...] = ()
    """Percent, of each replica; none of ensembles."""


@dataclass(frozen=True)
class Row:
    """One measure of both."""

    title: str
    one: str
    other: str
    difference: str
    picture: str
    verdict: str
    is_seen: bool


def compare_measures(one: Contender, other: Contender, width: int, symbols: Symbols = UNICODE) -> list[Row]:
    """Return a row per measure, with pictures as wide as there is room for."""
    differences = compare_arms(one.arm, other.arm, symbols)
    columns = make_columns(symbols, text=one.arm.text and other.arm.text)
    room = min(MOST_PICTURE, width)
    room -= 1 - room % 2
    rows: list[Row] = []
    for found, column in zip(differences, columns, strict=True):
        picture = _draw(found, room, symbols) if room >= LEAST_PICTURE else ""
        first, second = (column.format(contender.arm, symbols).partition(" [")[0] for contender in (one, other))
        verdict = _judge(found, one.arm, other.arm, column.measure.key, symbols)
        title = f"{column.title}, {column.unit}"
        rows.append(Row(title, first, second, format_difference(found), picture, verdict, found.is_seen))
    return rows


def _draw(found: Difference, room: int, symbols: Symbols) -> str:
    """Draw a difference, or a ratio, on an axis whose middle is where equal arms are."""
    if found.difference is None or found.interval is None:
        return " " * room
    equal = 1.0 if found.is_ratio else 0.0
    reach = max(abs(end - equal) for end in (*found.interval, found.difference)) or 1.0
    axis = (equal - reach, equal + reach)
    cells = list(draw_interval(Estimate(found.difference, interval=found.interval), axis, room, symbols))
    middle = find_place(equal, axis, room)
    if cells[middle] in (" ", symbols.bar_rest):
        cells[middle] = MIDDLE[symbols is UNICODE]
    return "".join(cells)


def _judge(found: Difference, one: ArmMeasures, other: ArmMeasures, key: str, symbols: Symbols) -> str:
    """Say whether a measure is seen to differ, and how many replicas would tell where it is not."""
    if found.is_seen:
        return "* apart"
    column = next(c for c in make_columns(symbols, text=one.text and other.text) if c.measure.key == key)
    known = contrast(one, other, column.measure)
    if known is None or found.interval is None:
        return ""
    return "not told apart" if not known.more else f"{known.more:,} more of each"


def describe_versus(one: Contender, other: Contender, rows: Sequence[Row]) -> list[str]:
    """Say what a reader has to know beside the figures: the chance of one beating the other, settings, how to read."""
    said: list[str] = []
    if one.accuracies and other.accuracies:
        said.append(_say_superiority(one, other))
    settings = describe_differences(one.recipe, other.recipe)
    if settings:
        said.append(f"Their settings differ, and so may more than what varies: {'; '.join(settings)}.")
    elif one.recipe is not None and other.recipe is not None:
        said.append("Their settings are the same; they differ in what varies alone.")
    vary = [", ".join(contender.arm.vary) or "nothing" for contender in (one, other)]
    said.append(
        f"What varies: {vary[0]} in the first"
        + (f", {vary[1]} in the second." if vary[0] != vary[1] else " and the second.")
    )
    compared = sum("[" in row.difference for row in rows)
    by_chance = 100.0 * (1.0 - CONFIDENCE**compared)
    said.append(
        f"Of {plural(compared, 'measure')} at once, chance alone marks at least one with * in about {by_chance:.0f} of "
        "100 comparisons of equal arms: one mark alone is no finding."
    )
    said.append(
        "Differences are the first less the second; SDs are divided, first by second, with R - 1 in the denominator. "
        '[ ] 95 %. "More of each": replicas that would tell a difference as large as this in 4 studies of 5.'
    )
    return said


def _say_superiority(one: Contender, other: Contender) -> str:
    found = find_superiority(one.accuracies, other.accuracies)
    value, interval = found or (0.5, None)
    ends = "" if interval is None else f" [{interval[0]:.2f} {interval[1]:.2f}]"
    return (
        f"P(first > second) = {value:.2f}{ends}: so often a replica of {arm_name(one.arm)} is more accurate than one "
        f"of {arm_name(other.arm)}; 0.5 where neither is better ({format_number(len(one.accuracies), 0)} against "
        f"{format_number(len(other.accuracies), 0)} replicas)."
    )
