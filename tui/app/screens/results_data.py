"""Everything that results show of a study, as it is read by a thread in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.message import Message

from engine.recipe import Recipe
from engine.study.curves_record import ArmCurves
from engine.study.decision_record import DecisionRecord, read_decision
from engine.study.instability import SpreadSeries, select_spreads
from engine.study.measured import MeasuredStudy
from engine.study.metrics_record import ArmMeasures
from engine.study.notes import NOTHING, NoteRecord, read_note
from engine.study.paths import StudyPaths
from engine.study.records import Damage
from engine.study.run_records import read_arm_recipes
from engine.study.similarity_record import ArmSimilarity, find_similarity
from engine.study.study_plan import StudyPlan
from tui.text.answers.listing import list_answers
from tui.text.answers.sentences import Answer, Found
from tui.text.counts import all_of, plural
from tui.text.tables import arm_name

PLAN_ORDER, NAME_ORDER = "plan", "name"
"""Orders of arms beside those by a measure, which have its key."""


@dataclass(frozen=True)
class ShownMeasures:
    """Holds everything that was measured of a study."""

    study: str
    arms: tuple[ArmMeasures, ...]
    """In the plan's order."""
    curves: tuple[ArmCurves, ...]
    layers: tuple[ArmSimilarity, ...]
    """Empty where no layers were compared."""
    runs: int
    """Planned runs; fewer than planned replicas where arms share some."""
    reference: str | None
    """The published table that the protocol names."""
    empty: dict[str, dict[str, str]]
    """Arm → sources that vary nothing in it, with the reason."""
    recipes: Mapping[str, Recipe]
    """Arm → the recipe of its first run, as far as it can be read."""
    answers: tuple[Answer, ...]
    spreads: Mapping[str, Sequence[SpreadSeries]]
    """The spread over time, of every figure that has one."""
    note: NoteRecord | Damage = NOTHING
    """What a person says of it."""
    decision: DecisionRecord | None = None
    """How the comparison of two arms ended that it trained for."""

    def sort_arms(self, order: str) -> list[ArmMeasures]:
        """Return the arms in the plan's order, by name, or by a measure, the largest first and those without last."""
        if order == PLAN_ORDER:
            return list(self.arms)
        if order == NAME_ORDER:
            return sorted(self.arms, key=lambda arm: arm_name(arm).lower())
        figures = {arm.name: arm.find(order).value for arm in self.arms}
        return sorted(self.arms, key=lambda arm: (figures[arm.name] is None, -(figures[arm.name] or 0.0)))

    def number_arms(self, order: str = PLAN_ORDER) -> list[tuple[int, ArmMeasures]]:
        """Return the arms in an order with their places in the plan, which give their colours and marks."""
        places = {arm.name: number for number, arm in enumerate(self.arms)}
        return [(places[arm.name], arm) for arm in self.sort_arms(order)]

    @property
    def text(self) -> bool:
        """Tell whether the arms are language models."""
        return any(arm.text for arm in self.arms)


@dataclass
class StudyMeasured(Message):
    """Brings what was measured."""

    measured: ShownMeasures
    is_final: bool = True
    """Whether it is of all runs that there are; otherwise it is what an earlier measurement left."""


@dataclass
class MeasuringBegun(Message):
    """Brings what is about to be measured, in words, and whether it is of language models."""

    waiting: str
    text: bool


@dataclass
class MeasuringWent(Message):
    """Brings how far measuring is, in words; empty where nobody says."""

    progress: str


@dataclass
class MeasuringFailed(Message):
    """Brings why a study could not be measured."""

    reason: str


def gather(paths: StudyPaths, plan: StudyPlan, found: MeasuredStudy) -> ShownMeasures:
    """Gather what is shown of a study beside its measures: layers, recipes, sentences."""
    recipes = read_arm_recipes(paths, plan.arms)
    empty = {arm.name: arm.empty for arm in plan.arms}
    arms, runs = found.metrics.arms, len(plan.order)
    decision = read_decision(paths, plan.arms, plan.compare)
    said = list_answers(Found(arms, recipes, empty, plan.reference, runs, decision, plan.compare))
    return ShownMeasures(
        study=found.metrics.study,
        arms=arms,
        curves=found.curves,
        layers=find_similarity(paths.cka),
        runs=runs,
        reference=plan.reference,
        empty=empty,
        recipes=recipes,
        answers=tuple(said),
        spreads=select_spreads(found.curves),
        note=read_note(paths),
        decision=decision,
    )


def describe_waiting(done: int, total: int) -> str:
    """Say what is being measured, where nothing of it can be shown yet."""
    many = f"{plural(done, 'finished run')} of {total}" if done < total else all_of(total, "run")
    return (
        f"Measuring {many}: every two replicas of an arm are compared on every test example, then errors "
        "and intervals are computed. With hundreds of runs this takes minutes the first time; what is measured is kept."
        "\n\nEsc goes back, and measuring goes on meanwhile. E explains the measures."
    )
