"""The sentence about a study that trained pairs of replicas until the difference of two arms was decided."""

from __future__ import annotations

from engine.study.metrics_record import ArmMeasures
from tui.text.answers.sentences import Answer, Found, Part, name, plural
from tui.text.decisions import show_difference

RULE = (
    "Replicas were trained in pairs until this was decided; the interval may be looked at after every pair: in 95 of "
    "100 studies it holds at all of these looks together."
)


def answer_decision(found: Found) -> list[Answer]:
    """Say how the comparison ended that the study trained for; nothing where it is undecided, or there is none."""
    decision = found.decision
    if decision is None:
        return []
    settings = decision.settings
    arms = {arm.name: arm for arm in found.arms}
    if settings.a not in arms or settings.b not in arms:
        return []
    shown = show_difference(decision.difference, decision.interval, settings, found.symbols)
    after = f" after {plural(decision.counted, 'pair')} of replicas"
    parts = _tell(arms[settings.a], arms[settings.b], f"{settings.measure}{after}: {shown}", alike=_is_alike(found))
    return [Answer("finding", parts, RULE, "compare", None, (settings.a, settings.b))]


def _is_alike(found: Found) -> bool:
    return found.decision is not None and found.decision.end == "no difference that matters"


def _tell(one: ArmMeasures, other: ArmMeasures, rest: str, *, alike: bool) -> tuple[Part, ...]:
    if alike:
        return (name(one), " and ", name(other), f" show no difference that matters in {rest}")
    return (name(one), " and ", name(other), f" differ in {rest}")
