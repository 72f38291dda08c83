"""`report --against`: two arms beside each other, or the arms of one name in two studies, as text or as a page."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from rich.console import Console

from engine.errors import EXIT_OK, StudyError
from engine.protocol.faults import printable, suggest
from engine.study.files import OUT, make_folder, write_bytes
from engine.study.measured import read_measured
from engine.study.paths import StudyPaths, enter_path
from engine.study.study_plan import StudyPlan, find_study, read_plan
from tui.commands.measuring import refresh_metrics
from tui.commands.output import print_page, print_text
from tui.commands.page_data import gather_page
from tui.commands.reporting import list_damaged
from tui.commands.two_arms import compare_pair
from tui.commands.typed import read_margin
from tui.html.comparison_page import ComparedPair, ComparisonData, make_comparison_page
from tui.html.content import StudyData
from tui.text.arms_compared import Pair, describe_pair, list_comparisons, list_pairs
from tui.text.compare import compare_arms, format_differences
from tui.text.comparison_markdown import format_comparison_markdown
from tui.text.counts import plural
from tui.text.format import choose_symbols
from tui.text.recipes import describe_differences

FORMATS = ("table", "markdown", "html")
"""What two arms can be shown as."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a study, or one of its arms."""

    paths: StudyPaths
    arm: str | None


def find_side(text: str, *, store: str | None) -> Side:
    """Find STUDY or STUDY:ARM; names of arms may hold colons, too.

    Raises:
        StudyError: If there is no such study.
    """
    parts = text.split(":")
    studies = list(accumulate(parts, lambda before, part: f"{before}:{part}"))
    for place, study in sorted(enumerate(studies), key=lambda one: one[0] != len(studies) - 1):
        try:
            paths = find_study(study, store=store)
        except StudyError:
            continue
        return Side(paths, ":".join(parts[place + 1 :]) or None)
    return Side(find_study(studies[0], store=store), None)


def report_comparison(
    one: str,
    other: str,
    *,
    store: str | None,
    kind: str,
    out: str | None,
    measure: str | None = None,
    margin: str | None = None,
) -> int:
    """Bring both studies' measures up to date and compare them.

    Args:
        one: STUDY or STUDY:ARM.
        other: Likewise; without an arm it is that of the first.
        store: The folder of all studies.
        kind: One of FORMATS.
        out: A folder for the files; None prints.
        measure: What the verdict is about; None for that of the protocol, else the first that both arms have.
        margin: The smallest difference worth having, as it was typed; None for that of the protocol.

    Raises:
        StudyError: If there is no such study or arm, or this cannot be shown so.
    """
    if kind not in FORMATS:
        raise StudyError(f"--format {kind}: two arms are shown as one of {', '.join(FORMATS)}")
    limit = read_margin(margin)
    first, second = (find_side(text, store=store) for text in (one, other))
    names = pair_names(first, second)
    asked = settle_question(first, second, names, measure, limit)
    comparison = gather_comparison(first.paths, second.paths, names, *asked)
    if out is not None:
        written = write_comparison(comparison, enter_path(out))
        files = f"{plural(len(written), 'file')} in {out}: {', '.join(written)}"
        print_text(Console(stderr=True, highlight=False), files)
    elif kind == "html":
        print_page(make_comparison_page(comparison))
    elif kind == "markdown":
        sys.stdout.write(format_comparison_markdown([pair.judged for pair in comparison.pairs]))
    else:
        print_comparison(comparison)
    return EXIT_OK


def gather_comparison(
    first: StudyPaths, second: StudyPaths, names: Sequence[tuple[str, str]], measure: str | None, margin: float | None
) -> ComparisonData:
    """Gather everything that is said of two sides, their measures up to date; why two arms cannot be judged is kept.

    Args:
        first: A study.
        second: Another one, or the same.
        names: The arms that are compared.
        measure: What verdicts are about; None for the first that both arms have.
        margin: The smallest difference worth having.
    """
    sides = [_gather(first)]
    sides.append(sides[0] if second.folder == first.folder else _gather(second))
    measured = [{arm.name: arm for arm in side.arms} for side in sides]
    pairs = tuple(
        ComparedPair(measured[0][a], measured[1][b], _judge((first, a), (second, b), measure, margin)) for a, b in names
    )
    settings = tuple(line for pair in pairs for line in compare_settings(pair, *sides))
    return ComparisonData(sides[0], sides[1], pairs, tuple(dict.fromkeys(settings)))


def _judge(
    first: tuple[StudyPaths, str], second: tuple[StudyPaths, str], measure: str | None, margin: float | None
) -> Pair | str:
    try:
        return compare_pair(first, second, measure, margin, every=True)
    except StudyError as error:
        return str(error)


def write_comparison(comparison: ComparisonData, folder: Path) -> list[str]:
    """Write a comparison as a page and as text into a folder; return the names of the files.

    Raises:
        StudyError: If the folder cannot be written.
    """
    texts = {
        "comparison.html": make_comparison_page(comparison),
        "comparison.md": format_comparison_markdown([pair.judged for pair in comparison.pairs]),
    }
    make_folder(folder, place=OUT)
    for name, text in texts.items():
        write_bytes(folder / name, text.encode(), place=OUT)
    return list(texts)


def _gather(paths: StudyPaths) -> StudyData:
    measured = refresh_metrics(paths) or read_measured(paths)
    return gather_page(paths, measured, tuple(list_damaged(measured)))


def pair_names(first: Side, second: Side) -> list[tuple[str, str]]:
    """Return the arms that are compared: one with one, or where none is named all of one name.

    Raises:
        StudyError: If there is no such arm, or both sides are the same.
    """
    plans = [read_plan(side.paths) for side in (first, second)]
    arms = [[arm.name for arm in plan.arms] for plan in plans]
    alike = first.paths.folder == second.paths.folder
    study = printable(plans[0].study)
    one, other = first.arm or second.arm, second.arm or first.arm
    if one is None or other is None:
        if alike:
            raise StudyError(f"{study}: a study is not compared with itself: name arms, STUDY:ARM")
        grids = {arm.name for plan in plans for arm in plan.arms if arm.crossed}  # their runs are no replicas
        return [(name, name) for name in arms[0] if name in arms[1] and name not in grids]
    for name, known, plan in zip((one, other), arms, plans, strict=True):
        require_arm(plan, name, known)
    if alike and one == other:
        raise StudyError(f"{study}: {printable(one)}: an arm is not compared with itself: name another one")
    return [(one, other)]


def require_arm(plan: StudyPlan, name: str, known: Collection[str]) -> None:
    """Make sure that a study has an arm.

    Args:
        plan: The study's.
        name: The arm that is asked for.
        known: Those that may be.

    Raises:
        StudyError: If there is none of that name.
    """
    if name not in known:
        remedy = suggest(name, map(printable, known))
        raise StudyError(f"{printable(plan.study)}: has no arm '{printable(name)}': {remedy}")


def settle_question(
    first: Side, second: Side, names: Sequence[tuple[str, str]], measure: str | None, margin: float | None
) -> tuple[str | None, float | None]:
    """Return the measure and the margin of a comparison: those that are asked for, else those of the protocol.

    A protocol says them of two arms of its own study; of all others nothing is known but what is asked for.

    Args:
        first: A side.
        second: The other one.
        names: The arms that are compared.
        measure: What the verdict is asked about; None where nothing was said.
        margin: The smallest difference worth having that was asked for.
    """
    settings = read_plan(first.paths).compare
    is_own = first.paths.folder == second.paths.folder
    if settings is None or not is_own or any({*pair} != {settings.a, settings.b} for pair in names):
        return measure, margin
    if measure not in (None, settings.measure):
        return measure, margin
    return settings.measure, settings.margin if margin is None else margin


def compare_settings(pair: ComparedPair, first: StudyData, second: StudyData) -> list[str]:
    """Name the settings in which two arms differ, from a recipe of each; or say whose cannot be read."""
    recipes = (first.recipes.get(pair.one.name), second.recipes.get(pair.other.name))
    unread = [arm.name for arm, recipe in zip((pair.one, pair.other), recipes, strict=True) if recipe is None]
    if unread:
        return [f"settings are not compared, since no recipe can be read of {printable(', '.join(unread))}"]
    return describe_differences(*recipes)


def print_comparison(comparison: ComparisonData) -> None:
    """Print how the arms of every pair compare, then how much each scatters, as text."""
    symbols = choose_symbols(sys.stdout.encoding)
    told: list[Pair] = []
    for pair in comparison.pairs:
        judged = pair.judged
        told += [] if isinstance(judged, str) else [judged]
        lines = [printable(judged)] if isinstance(judged, str) else describe_pair(judged, symbols)
        spreads = format_differences(compare_arms(pair.one, pair.other, symbols), symbols)
        sys.stdout.write("\n".join([*lines, "", *spreads, "", ""]))
    if len(list_comparisons(told)) > 1:
        sys.stdout.write("\n".join([*list_pairs(told), ""]))
