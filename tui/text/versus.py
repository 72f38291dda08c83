"""The spread and likeness of two arms' replicas, measure by measure: what differs as a picture and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalog.measure_declaration import CONFIDENCE
from engine.study.estimate import Estimate
from engine.study.metrics_record import ArmMeasures
from tui.text.compare import Difference, compare_arms, format_difference, pick_compared
from tui.text.contrasts import contrast
from tui.text.counts import plural
from tui.text.format import UNICODE, Symbols
from tui.text.tables import Column
from tui.text.whiskers import draw_interval, find_place

MIDDLE = {True: "┊", False: "."}
"""Where equal arms would be, in Unicode and without."""

LEAST_PICTURE, MOST_PICTURE = 15, 41
"""Columns of a picture; an odd number has a middle."""


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


def compare_measures(one: ArmMeasures, other: ArmMeasures, width: int, symbols: Symbols = UNICODE) -> list[Row]:
    """Return a row per measure that is no mean, with pictures as wide as there is room for."""
    differences = compare_arms(one, other, symbols)
    columns = pick_compared(one, other, symbols)
    room = min(MOST_PICTURE, width)
    room -= 1 - room % 2
    rows: list[Row] = []
    for found, column in zip(differences, columns, strict=True):
        picture = _draw(found, room, symbols) if room >= LEAST_PICTURE else ""
        first, second = (column.format(arm, symbols).partition(" [")[0] for arm in (one, other))
        verdict = _judge(found, one, other, column)
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


def _judge(found: Difference, one: ArmMeasures, other: ArmMeasures, column: Column) -> str:
    """Say whether a measure is seen to differ, and how many replicas would tell where it is not."""
    if found.is_seen:
        return "* apart"
    known = contrast(one, other, column.measure)
    if known is None or found.interval is None:
        return ""
    return "not told apart" if not known.more else f"{known.more:,} more of each"


def explain_rows(rows: Sequence[Row]) -> list[str]:
    """Say how the rows are read, and how often chance alone marks one."""
    compared = sum("[" in row.difference for row in rows)
    by_chance = 100.0 * (1.0 - CONFIDENCE**compared)
    return [
        'A less B; SDs are divided, A by B, with R - 1 in the denominator; 95 %. "More of each": replicas that would '
        "tell a difference as large as this in 4 studies of 5.",
        f"Of {plural(compared, 'measure')} at once, chance alone marks at least one with * in about {by_chance:.0f} of "
        "100 comparisons of equal arms.",
    ]
