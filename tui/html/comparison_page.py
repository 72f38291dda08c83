"""Makes the page about two arms beside each other, or about the arms of one name in two studies."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
from markupsafe import Markup

from engine.protocol.faults import printable
from engine.study.instability import select_spreads
from engine.study.metrics_record import ArmMeasures
from tui.html.content import Fact, Figure, StudyData
from tui.html.difference import draw_difference
from tui.html.forest import draw_forest, list_rows
from tui.html.page import list_contents, render_page
from tui.html.sections import Drawn, draw_figure, list_facts, name_left_out
from tui.html.sentences import Part, Sentence
from tui.html.study_page import (
    cut_protocol,
    describe_command,
    find_loud,
    list_notes,
    list_provenance,
    name_file,
)
from tui.text.arms_compared import (
    Pair,
    Told,
    count_places,
    explain,
    list_chances,
    list_comparisons,
    list_intervals,
    list_narrowing,
    list_remarks,
    percent,
    say_count,
    say_headline,
    show_chance,
    show_ends,
    unit_of,
)
from tui.text.compare import Difference, compare_arms, explain_differences, format_difference
from tui.text.format import UNICODE, format_number
from tui.text.tables import arm_name, make_columns

MOST_PAIRS = 20
"""Pairs of arms that pictures have; the table has all of them."""


@dataclass(frozen=True)
class ComparedPair:
    """Two arms that are compared."""

    one: ArmMeasures
    other: ArmMeasures
    judged: Pair | str
    """How they compare, or why they cannot be compared."""


@dataclass(frozen=True)
class ComparisonData:
    """Everything that a page about two sides is made of."""

    first: StudyData
    second: StudyData
    pairs: tuple[ComparedPair, ...]
    settings: tuple[str, ...] = ()
    """The settings in which they differ, in words."""

    @property
    def subject(self) -> str:
        """The name of the arm that both sides are of, where they are studies; nothing otherwise."""
        if len(self.pairs) != 1 or self.pairs[0].one.name != self.pairs[0].other.name:
            return ""
        return f"{arm_name(self.pairs[0].one)}: "

    @property
    def labels(self) -> tuple[str, str]:
        """The names of the two sides: by their arms where these differ, by their studies where those do."""
        studies = (printable(self.first.plan.study), printable(self.second.plan.study))
        if len(self.pairs) != 1 or self.pairs[0].one.name == self.pairs[0].other.name:
            return studies if studies[0] != studies[1] else (f"{studies[0]}, first", f"{studies[1]}, second")
        arms = (arm_name(self.pairs[0].one), arm_name(self.pairs[0].other))
        return arms if studies[0] == studies[1] else (f"{studies[0]}: {arms[0]}", f"{studies[1]}: {arms[1]}")


@dataclass(frozen=True)
class DifferenceRow:
    """One measure of two arms, as text."""

    title: str
    one: str
    other: str
    difference: str
    seen: bool


@dataclass(frozen=True)
class PairRows:
    """The measures of two arms; their name where there are several pairs."""

    name: str
    rows: tuple[DifferenceRow, ...]


@dataclass(frozen=True)
class MeasureRow:
    """One measure of two arms, judged: as text."""

    measure: str
    means: tuple[str, str]
    difference: str
    interval: str
    chance: str
    verdict: str


@dataclass(frozen=True)
class Judged:
    """Holds how two arms compare."""

    name: str
    """Of the pair, where there are several."""
    fault: str = ""
    """Why they cannot be compared."""
    picture: Markup | None = None
    facts: tuple[Fact, ...] = ()
    rows: tuple[MeasureRow, ...] = ()


@dataclass(frozen=True)
class SideShown:
    """The parts that are said of one side alone."""

    name: str
    facts: list[Fact]
    provenance: list[Fact]
    file: str
    command: str
    protocol: str
    notes: list[str]
    loud: list[str]


def make_comparison_page(comparison: ComparisonData) -> str:
    """Return the page about two sides as text; equal ones give equal pages."""
    found = [compare_arms(pair.one, pair.other, UNICODE) for pair in comparison.pairs]
    forests, spreads = draw_forests(comparison), draw_spreads(comparison)
    sides = [comparison.first]
    sides += [comparison.second] if comparison.second.plan is not comparison.first.plan else []
    questions = list(dict.fromkeys(side.question for side in sides if side.question))
    if len(questions) > 1:
        questions = [f"{side.plan.study}: {side.question}" for side in sides if side.question]
    one, other = comparison.labels
    contents = list_contents(
        (
            ("answer", "Answer", True),
            ("difference", "Is A better?", True),
            ("differences", "Spread and likeness", True),
            ("intervals", "Intervals", bool(forests.figures)),
            ("time", "Over time", bool(spreads.figures)),
            ("settings", "Settings", True),
            ("provenance", "Provenance", True),
            ("repeat", "Repeat", True),
            ("notes", "Notes", True),
        )
    )
    return render_page(
        "comparison.html",
        f"{comparison.subject}{one} beside {other}",
        contents,
        {
            "labels": comparison.labels,
            "subject": comparison.subject,
            "questions": questions,
            "answers": say_verdicts(comparison),
            "judged": show_judged(comparison),
            "margined": any(
                pair.judged.found.comparison.margin for pair in comparison.pairs if isinstance(pair.judged, Pair)
            ),
            "counted": say_count(
                sum(len(pair.judged.comparisons) for pair in comparison.pairs if isinstance(pair.judged, Pair))
            ),
            "pairs": [
                PairRows(arm_name(pair.one) if len(comparison.pairs) > 1 else "", tuple(map(_show_row, rows)))
                for pair, rows in zip(comparison.pairs, found, strict=True)
            ],
            "difference_notes": [
                f"Bold: {note.removeprefix('* ')}" if note.startswith("* ") else note
                for note in explain_differences([one for rows in found for one in rows])
            ],
            "forests": forests,
            "spreads": spreads,
            "settings": comparison.settings,
            "sides": list(map(show_side, sides)),
        },
    )


def _show_row(one: Difference) -> DifferenceRow:
    first, second = format_number(one.one, 3), format_number(one.other, 3)
    return DifferenceRow(one.title, first, second, format_difference(one), one.is_seen)


LETTERS = re.compile(r"\b([AB])\b")
"""Where a headline names an arm."""


def say_verdicts(comparison: ComparisonData) -> list[Sentence]:
    """Say of every pair whether one is better, in the words of the verdict."""
    places = dict(zip("AB", enumerate(comparison.labels), strict=True))
    sentences: list[Sentence] = []
    for pair in comparison.pairs:
        of = f"{arm_name(pair.one)}: " if len(comparison.pairs) > 1 else ""
        if isinstance(pair.judged, str):
            sentences.append(Sentence("note", ((f"{of}not compared: {printable(pair.judged)}", None),)))
            continue
        found = pair.judged.found.comparison
        parts: list[Part] = [(of, None)] if of else []
        for text in LETTERS.split(f"{say_headline(found)} ({printable(found.measure)})"):
            number, label = places.get(text, (None, text))
            parts.append((label, number))
        sentences.append(Sentence("finding", tuple(parts), " ".join(explain(found)), "difference"))
    if not sentences:
        sentences.append(Sentence("note", (("The two studies have no arm of one name.", None),)))
    return sentences


def show_judged(comparison: ComparisonData) -> list[Judged]:
    """Show how the arms of every pair compare: a picture, facts, and all measures with p-values for all at once."""
    several = len(comparison.pairs) > 1
    pairs = [pair.judged for pair in comparison.pairs if isinstance(pair.judged, Pair)]
    told = list_comparisons(pairs)
    shown: list[Judged] = []
    for place, pair in enumerate(comparison.pairs):
        name = arm_name(pair.one) if several else ""
        if isinstance(pair.judged, str):
            shown.append(Judged(name, fault=printable(pair.judged)))
            continue
        found = pair.judged.found.comparison
        title = f"A − B, {printable(found.measure)}{f', {found.unit}' if found.unit else ''}"
        said = [(row.name, row.said) for row in list_intervals(found) if row.said]
        said += [*list_chances(found), *list_narrowing(found)]
        said += [(head, "; ".join(lines)) for head, lines in list_remarks(pair.judged)]
        shown.append(
            Judged(
                name,
                picture=draw_difference(found, title) if place < MOST_PAIRS else None,
                facts=tuple(Fact(head, printable(text)) for head, text in said),
                rows=tuple(_show_measure(one) for one in told if one.pair is pair.judged),
            )
        )
    return shown


def _show_measure(told: Told) -> MeasureRow:
    found, places = told.found, count_places(told.found)
    means = tuple(f"{mean:.{places}f}{percent(found)}" for mean in found.means)
    return MeasureRow(
        printable(found.measure),
        (means[0], means[1]),
        f"{found.difference:+.{places}f}{unit_of(found)}",
        show_ends(found.ci_test_set, places).removesuffix(" *"),
        show_chance(told.chance),
        found.verdict,
    )


def _alternate(comparison: ComparisonData) -> list[tuple[int, ArmMeasures]]:
    """Return the arms of the pairs in turn, numbered by their side, under names that tell them apart."""
    several, labels = len(comparison.pairs) > 1, comparison.labels
    arms: list[tuple[int, ArmMeasures]] = []
    for pair in comparison.pairs[:MOST_PAIRS]:
        for side, arm in enumerate((pair.one, pair.other)):
            name = arm_name(arm) if several else labels[side]
            arms.append((side, msgspec.structs.replace(arm, name=name)))
    return arms


def draw_forests(comparison: ComparisonData) -> Drawn:
    """Draw every measure of both sides on one axis."""
    arms = _alternate(comparison)
    figures: list[Figure] = []
    for column in make_columns(UNICODE, text=all(arm.text for _, arm in arms) and bool(arms)):
        rows = list_rows(arms, column, None)
        if rows:
            zero, bounds = column.measure.wants_zero, column.measure.bounds
            figures.append(Figure(draw_forest(rows, f"{column.title}, {column.unit}", zero=zero, bounds=bounds)))
    left = name_left_out(min(MOST_PAIRS, len(comparison.pairs)), len(comparison.pairs), "pairs of arms")
    return Drawn(tuple(figures), tuple(enumerate(comparison.labels)) if figures else (), left)


def draw_spreads(comparison: ComparisonData) -> Drawn:
    """Draw both sides over time, where one pair is compared."""
    if len(comparison.pairs) != 1:
        return Drawn()
    pair, labels = comparison.pairs[0], comparison.labels
    curves = [
        next((one for one in data.measured.curves if one.name == arm.name), None)
        for data, arm in ((comparison.first, pair.one), (comparison.second, pair.other))
    ]
    figures: list[Figure] = []
    numbered = [(side, one) for side, one in enumerate(curves) if one is not None]
    for figure, series in select_spreads([one for _, one in numbered]).items():
        placed = [one._replace(number=numbered[one.number][0]) for one in series]
        figures += draw_figure(figure, placed, dict(enumerate(labels)))
    return Drawn(tuple(figures), tuple(enumerate(labels)) if figures else ())


def show_side(data: StudyData) -> SideShown:
    """Say what there is to say of one side alone."""
    notes = list_notes(data)
    return SideShown(
        printable(data.plan.study), list_facts(data), list_provenance(data), name_file(data), describe_command(data),
        cut_protocol(data.protocol), notes, find_loud(notes),
    )  # fmt: skip
