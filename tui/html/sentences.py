"""Says what a study has found, in sentences whose arms are named in their colours and that lead to their evidence."""

from __future__ import annotations

from dataclasses import dataclass

from tui.html.content import StudyData
from tui.text.answers.listing import list_answers
from tui.text.answers.sentences import ArmName, Found, Page, Weight
from tui.text.tables import arm_name

Part = tuple[str, int | None]
"""A piece of a sentence, and the arm's place in the protocol where it is an arm's name."""

SECTIONS: dict[Page, str] = {
    "table": "measures",
    "diagnostics": "diagnostics",
    "intervals": "intervals",
    "time": "time",
    "growth": "growth",
    "examples": "examples",
    "compare": "measures",
    "provenance": "provenance",
}
"""Where the evidence of a sentence is on the page."""


@dataclass(frozen=True)
class Sentence:
    """One sentence."""

    weight: Weight
    parts: tuple[Part, ...]
    because: str = ""
    """The test or the interval behind it."""
    section: str | None = None
    """Where its evidence is; None where it stands alone."""


def make_sentences(data: StudyData) -> list[Sentence]:
    """Return what a study says, the most important first."""
    plan = data.plan
    empty = {arm.name: arm.empty for arm in plan.arms}
    found = Found(data.arms, data.recipes, empty, plan.reference, len(plan.order), data.decision, plan.compare)
    numbers = {arm_name(arm): data.numbers[arm.name] for arm in data.arms}
    return [
        Sentence(
            answer.weight,
            tuple((str(part), numbers.get(part) if isinstance(part, ArmName) else None) for part in answer.parts),
            answer.because,
            SECTIONS[answer.page],
        )
        for answer in list_answers(found)
    ]
