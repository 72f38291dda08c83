"""Sentences about the numbers that a program of one's own leaves, where nothing else of its runs is known."""

from __future__ import annotations

from engine.catalog.measure_declaration import Measure
from tui.text.answers.sentences import Answer, Found, Part, name, show_estimate, show_ratio
from tui.text.answers.spread import answer_separation
from tui.text.contrasts import contrast
from tui.text.few_measures import list_scores

MOST_SCORES = 3
"""Numbers that are spoken of; the table has all."""

RULE = "SD with R in the denominator, [ ] 95 % over replicas."


def answer_scores(found: Found) -> list[Answer]:
    """Say of each number by how much it scatters, in which arm most and in which least, and what is told apart."""
    scores = list_scores(found.arms)[:MOST_SCORES]
    scatter = [answer for mean, spread in scores for answer in _answer_score(found, mean, spread)]
    return [*scatter, *(answer for _, spread in scores for answer in answer_separation(found, spread))]


def _answer_score(found: Found, mean: Measure, spread: Measure) -> list[Answer]:
    arms = [arm for arm in found.arms if arm.find(spread.key).value is not None]
    if not arms:
        return []
    ordered = sorted(arms, key=lambda arm: arm.find(spread.key).value or 0.0)
    low, high = ordered[0], ordered[-1]
    most, least = (show_estimate(arm.find(spread.key), spread, found.symbols) for arm in (high, low))
    if len(arms) == 1:
        level = show_estimate(high.find(mean.key), mean, found.symbols)
        parts: tuple[Part, ...] = (name(high), f" has {mean.title} {level}, and scatters in it by {most}")
        return [Answer("finding", parts, RULE, "intervals", spread.key, (high.name,))]
    parts = (name(high), f" scatters in {mean.title} by {most}, ", name(low), f" by {least}")
    ratio = contrast(high, low, spread)
    because = RULE
    if len(arms) > 2:
        because += f" They are the most and the least of {len(arms)} arms, chosen after looking."
    elif ratio is not None:
        parts = (*parts, f": ratio {show_ratio(ratio.value, ratio.interval)}")
        because += " They are told apart." if ratio.is_seen else " The interval of the ratio holds 1: not told apart."
    return [Answer("finding", parts, because, "intervals", spread.key, (high.name, low.name))]
