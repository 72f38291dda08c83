"""The sentence about a study that trained pairs of replicas until the difference of two arms was decided."""

from __future__ import annotations

from tui.text.answers.sentences import Answer, Found, Part, name
from tui.text.counts import plural
from tui.text.decisions import say_side, show_difference

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
    one, other = name(arms[settings.a]), name(arms[settings.b])
    if decision.end == "no difference that matters":
        parts: tuple[Part, ...] = (one, " and ", other, f" show {decision.end} in {settings.measure}{after}: {shown}")
    else:
        above = f" has a {say_side(decision.difference)} {settings.measure} than "
        parts = (one, above, other, f"{after}: {shown}")
    return [Answer("finding", parts, RULE, "compare", None, (settings.a, settings.b))]
