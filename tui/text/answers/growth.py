"""Sentences about the growth of moved bits: what the end owes to the size of the move, and how fast one grows."""

from __future__ import annotations

from engine.study.growth_record import Growth
from engine.study.metrics_record import ArmMeasures
from tui.text.answers.sentences import Answer, Found, brief, name
from tui.text.growth import GrowthFamily, describe_late, describe_response, format_exponent, group_growth

BECAUSE = (
    "Distances are of all weights from those of the run in which nothing was moved, relative to their size. [ ] 95 % "
    "over replicas, Student's t: each replica has its own weight and direction."
)
FLOOR = " Sizes count that are larger than what rounding alone makes of the smallest."


def answer_growth(found: Found) -> list[Answer]:
    """Say of every network what the end owes to the size of what was moved; where one size was, how it grows."""
    answers: list[Answer] = []
    for family in group_growth(found.arms):
        answers += _answer_sizes(family)
        if not family.responses:
            answers += [_answer_arm(arm, growth) for _, arm, growth in family.arms]
    return answers


def _answer_sizes(family: GrowthFamily) -> list[Answer]:
    growths = {arm.name: growth for _, arm, growth in family.arms}
    answers: list[Answer] = []
    for response in family.responses:
        growth = growths[response.arms[0]]
        text = (
            f"{family.name}{describe_late(growth)}: {describe_response(response)}: "
            f"~ size^{format_exponent(response.exponent)}, over {len(response.arms)} sizes"
        )
        because = BECAUSE + (FLOOR if response.above_floor else "")
        answers.append(Answer("finding", (text,), because, "growth", None, response.arms))
    return answers


def _answer_arm(arm: ArmMeasures, growth: Growth) -> Answer:
    size, end, doubling = growth.size.value, growth.distance.value, growth.doubling_steps.value
    assert size is not None, "a growth with replicas has their size"
    assert end is not None, "a growth with replicas has their end"
    apart = (
        ""
        if growth.disagreement.value is None
        else f", where {brief(growth.disagreement.value)} % of predictions differ"
    )
    if doubling is None:
        told = f": a moved weight does not grow: {size:.1g} at the move, {end:.2g} at the end{apart}"
    else:
        grown = "" if growth.grown == len(growth.replicas) else f" in {growth.grown} of {len(growth.replicas)} replicas"
        told = f": a moved weight doubles in {brief(doubling)} steps{grown}, from {size:.1g} to {end:.2g}{apart}"
    return Answer("finding", (name(arm), told), BECAUSE, "growth", None, (arm.name,))
