"""Says what a study has found, in sentences whose arms are named in their colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.study.metrics_record import ArmMeasures
from tui.html.content import StudyData
from tui.text.tables import arm_name, make_notes

Part = tuple[str, int | None]
"""A piece of a sentence, and the arm's place in the protocol where it is an arm's name."""


@dataclass(frozen=True)
class Sentence:
    """One sentence."""

    weight: str
    """warning, finding or note."""
    parts: tuple[Part, ...]
    because: str = ""


def make_sentences(data: StudyData) -> list[Sentence]:
    """Return what a study says, the most important first."""
    arms = [arm for arm in data.arms if arm.find("disagreement").value is not None]
    found: list[Sentence] = []
    if arms:
        ordered = sorted(arms, key=_share)
        found.append(_say_extremes(ordered, data))
    return [*found, *(Sentence("note", ((note, None),)) for note in make_notes(data.arms))]


def _share(arm: ArmMeasures) -> float:
    return arm.find("disagreement").value or 0.0


def _say_extremes(ordered: Sequence[ArmMeasures], data: StudyData) -> Sentence:
    last = ordered[-1]
    said = f": two replicas disagree on {_share(last):.2g} % of predictions"
    return Sentence("finding", ((arm_name(last), data.numbers[last.name]), (said, None)))
