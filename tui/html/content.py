"""Defines what a page holds, before it is laid out: sentences, tables that can be sorted, pictures, facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from engine.catalog.measure_declaration import describe_uncertainty
from engine.catalog.published import find_rows
from engine.recipe import Recipe
from engine.study.decision_record import DecisionRecord
from engine.study.measured import MeasuredStudy
from engine.study.metrics_record import ArmMeasures
from engine.study.similarity_record import ArmSimilarity
from engine.study.study_plan import StudyPlan
from tui.text.format import UNICODE
from tui.text.tables import Column, arm_name, format_n, format_published


@dataclass(frozen=True)
class TrainedWith:
    """A device and versions that some runs were trained with, and how many these are."""

    device: str
    versions: str
    runs: int


@dataclass(frozen=True)
class RunsSummary:
    """The facts that finished runs say of themselves."""

    done: int = 0
    trained_with: tuple[TrainedWith, ...] = ()
    """The most runs first."""
    first: str | None = None
    """When the first one began, ISO 8601."""
    last: str | None = None
    """When the last one ended, ISO 8601."""
    seconds: float = 0.0
    """Of training, added up."""


@dataclass(frozen=True)
class StudyData:
    """Everything that a page about a study is made of."""

    plan: StudyPlan
    measured: MeasuredStudy
    similarity: tuple[ArmSimilarity, ...] = ()
    runs: RunsSummary = field(default_factory=RunsSummary)
    protocol: str = ""
    """The text of the protocol; empty where it cannot be read."""
    question: str = ""
    """Its description."""
    damage: tuple[str, ...] = ()
    """What is said of damaged runs."""
    recipes: Mapping[str, Recipe] = field(default_factory=dict[str, Recipe])
    """Arm → the recipe of its first run, as far as it can be read."""
    said: tuple[str, ...] = ()
    """Lines of what a person says of the study: its tags, then the note."""
    decision: DecisionRecord | None = None
    """How the comparison of two arms ended that the study trained for."""

    @property
    def arms(self) -> tuple[ArmMeasures, ...]:
        """The measured arms."""
        return self.measured.metrics.arms

    @property
    def numbers(self) -> dict[str, int]:
        """Arm → its place in the protocol, from 0."""
        return {arm.name: number for number, arm in enumerate(self.arms)}


@dataclass(frozen=True)
class Cell:
    """One figure of a table."""

    text: str
    below: str = ""
    """The interval, which stands in a line of its own."""
    value: str = ""
    """What the column is sorted by; empty where there is nothing."""


@dataclass(frozen=True)
class Line:
    """One row of a table: an arm, or what was published of it."""

    name: str
    number: int | None
    """The arm's place in the protocol; None of a published row."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Head:
    """The head of a column."""

    title: str
    unit: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Explanation:
    """One measure explained."""

    title: str
    unit: str
    meaning: str
    formula: str
    uncertainty: str
    """How its error and its interval are made; empty where it has none."""
    source: str


@dataclass(frozen=True)
class SortedTable:
    """A table whose rows are sorted by any column; what belongs to an arm stays with it."""

    caption: str
    heads: tuple[Head, ...]
    explained: tuple[Explanation, ...]
    """Its measures."""
    groups: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A picture with what is said below it."""

    picture: Markup
    caption: str = ""


@dataclass(frozen=True)
class Fact:
    """A name and what is known under it."""

    name: str
    value: str


def split_cell(text: str, value: float | None) -> Cell:
    """Put the interval of a figure into a line of its own."""
    first, bracket, rest = text.partition(" [")
    return Cell(first, f"[{rest}" if bracket else "", "" if value is None else repr(value))


def make_heads(columns: Sequence[Column]) -> tuple[Head, ...]:
    """Return the heads of a table of measures."""
    return tuple(Head(column.title, column.unit, column.measure.meaning) for column in columns)


def make_table(
    caption: str,
    arms: Sequence[ArmMeasures],
    columns: Sequence[Column],
    numbers: Mapping[str, int],
    *,
    reference: str | None = None,
    wide: bool = False,
) -> SortedTable:
    """Make a table of measures, published rows below the arms that they are of.

    Args:
        caption: What it is.
        arms: Its rows.
        columns: Its measures.
        numbers: Arm → its place in the protocol.
        reference: The published table to look rows up in.
        wide: With the intervals of means and SDs.
    """
    groups: list[tuple[Line, ...]] = []
    for arm in arms:
        figures = [split_cell(c.format(arm, UNICODE, wide=wide), arm.find(c.measure.key).value) for c in columns]
        lines = [Line(arm_name(arm), numbers[arm.name], (Cell(format_n(arm), value=repr(arm.n)), *figures))]
        for row in find_rows(reference, arm_name(arm)) if reference else ():
            published = [Cell(format_published(column, row, arm)) for column in columns]
            lines.append(Line(row.kind, None, (Cell(str(row.replicas)), *published)))
        groups.append(tuple(lines))
    heads = (Head("source"), Head("n", "", "Replicas."), *make_heads(columns))
    return SortedTable(caption, heads, tuple(map(explain, columns)), tuple(groups))


def explain(column: Column) -> Explanation:
    """Explain a measure, in the words of its declaration."""
    measure = column.measure
    uncertainty = describe_uncertainty(measure)
    return Explanation(column.title, column.unit, measure.meaning, measure.formula, uncertainty, measure.source)
