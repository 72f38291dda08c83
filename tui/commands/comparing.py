"""`report --against`: two arms beside each other, or the arms of one name in two studies, as text or as a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from rich.console import Console

from engine.errors import EXIT_OK, StudyError
from engine.protocol.faults import printable, suggest
from engine.study.files import OUT, make_folder, write_bytes
from engine.study.measured import read_measured
from engine.study.paths import StudyPaths, enter_path
from engine.study.study_plan import find_study, read_plan
from tui.commands.measuring import refresh_metrics
from tui.commands.output import print_page, print_text
from tui.commands.page_data import gather_page
from tui.commands.reporting import list_damaged
from tui.html.comparison_page import ComparedPair, Comparison, make_comparison_page
from tui.html.content import StudyData
from tui.text.compare import compare_arms, format_differences
from tui.text.format import choose_symbols
from tui.text.recipes import describe_differences

FORMATS = ("table", "html")
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


def report_comparison(one: str, other: str, *, store: str | None, kind: str, out: str | None) -> int:
    """Bring both studies' measures up to date and compare them.

    Args:
        one: STUDY or STUDY:ARM.
        other: Likewise; without an arm it is that of the first.
        store: The folder of all studies.
        kind: One of FORMATS.
        out: A folder for comparison.html; None prints.

    Raises:
        StudyError: If there is no such study or arm, or this cannot be shown so.
    """
    if kind not in FORMATS:
        raise StudyError(f"--format {kind}: two arms are shown as one of {', '.join(FORMATS)}")
    first, second = (find_side(text, store=store) for text in (one, other))
    names = pair_names(first, second)
    sides = [_gather(first.paths)]
    sides.append(sides[0] if second.paths.folder == first.paths.folder else _gather(second.paths))
    measured = [{arm.name: arm for arm in side.arms} for side in sides]
    pairs = tuple(ComparedPair(measured[0][one], measured[1][other]) for one, other in names)
    console = Console(stderr=True, highlight=False)
    if kind == "table" and out is None:
        print_comparison(pairs, sides)
        return EXIT_OK
    settings = tuple(line for pair in pairs for line in compare_settings(pair, *sides))
    page = make_comparison_page(Comparison(sides[0], sides[1], pairs, tuple(dict.fromkeys(settings))))
    if out is None:
        print_page(page)
        return EXIT_OK
    folder = enter_path(out)
    make_folder(folder, place=OUT)
    write_bytes(Path(folder) / "comparison.html", page.encode(), place=OUT)
    print_text(console, f"1 file in {folder}: comparison.html")
    return EXIT_OK


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
        return [(name, name) for name in arms[0] if name in arms[1]]
    for name, known, plan in zip((one, other), arms, plans, strict=True):
        if name not in known:
            remedy = suggest(name, map(printable, known))
            raise StudyError(f"{printable(plan.study)}: has no arm '{printable(name)}': {remedy}")
    if alike and one == other:
        raise StudyError(f"{study}: {printable(one)}: an arm is not compared with itself: name another one")
    return [(one, other)]


def compare_settings(pair: ComparedPair, first: StudyData, second: StudyData) -> list[str]:
    """Name the settings in which two arms differ, from a recipe of each; or say whose cannot be read."""
    recipes = (first.recipes.get(pair.one.name), second.recipes.get(pair.other.name))
    unread = [arm.name for arm, recipe in zip((pair.one, pair.other), recipes, strict=True) if recipe is None]
    if unread:
        return [f"settings are not compared, since no recipe can be read of {printable(', '.join(unread))}"]
    return describe_differences(*recipes)


def print_comparison(pairs: Sequence[ComparedPair], sides: Sequence[StudyData]) -> None:
    """Print the differences of every pair as text."""
    symbols = choose_symbols(sys.stdout.encoding)
    for pair in pairs:
        names = [
            f"{printable(d.plan.study)}: {printable(a.name)}"
            for d, a in zip(sides, (pair.one, pair.other), strict=True)
        ]
        lines = [
            f"first   {names[0]}",
            f"second  {names[1]}",
            "",
            *format_differences(compare_arms(pair.one, pair.other, symbols), symbols),
        ]
        sys.stdout.write("\n".join([*lines, "", ""]))
