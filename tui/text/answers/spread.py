"""Sentences about how far replicas lie apart: what changes predictions most, what can be told apart, what is chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.catalog.measure_declaration import Measure
from engine.study.estimate import Estimate
from engine.study.metrics_record import ArmMeasures
from tui.text.answers.sentences import (
    SHARED,
    Answer,
    Found,
    Page,
    Part,
    brief,
    join,
    name,
    show_estimate,
    show_ratio,
)
from tui.text.contrasts import Contrast, contrast, contrast_all, correct
from tui.text.counts import plural

MOST_PAIRS = 3
"""Pairs of arms that a sentence names."""

HOLM = "Holm's correction for {} at once: the chance of even one false one among those told apart is 5 % at most. "

FIRST = ("bit", "init")
"""The comparison of the paper's title, which is made before any figure is seen where both arms are there."""


def answer_disagreement(found: Found) -> list[Answer]:
    """Say of each network which source changes most and least predictions, and by which ratio."""
    groups = [group for group in found.group() if any(_differs(arm) for arm in group)]
    return [_compare_extremes(found, group) for group in groups]


def _differs(arm: ArmMeasures) -> bool:
    return (arm.find("disagreement").value or 0.0) > 0


def _compare_extremes(found: Found, group: Sequence[ArmMeasures]) -> Answer:
    """Make the sentence of one network: the planned comparison where there is one, else the least and the most."""
    ordered = sorted(filter(_differs, group), key=lambda arm: arm.find("disagreement").value or 0.0)
    if len(ordered) == 1:
        only = ordered[0]
        shown = show_estimate(only.find("disagreement"), found.find("disagreement"), found.symbols)
        because = (
            f"The mean over all pairs of {only.n} replicas of the share on which two differ; [ ] 95 % over replicas."
        )
        return Answer("finding", _say_shares(found, only, shown), because, "intervals", "disagreement", (only.name,))
    bit, init = (next((arm for arm in ordered if arm.vary == (source,)), None) for source in FIRST)
    if bit is not None and init is not None:
        return _compare_two(found, bit, init, "intervals")
    chosen = len(ordered) if len(ordered) > 2 else 0
    return _compare_two(found, ordered[0], ordered[-1], "intervals", chosen=chosen)


def _compare_two(found: Found, low: ArmMeasures, high: ArmMeasures, page: Page, *, chosen: int = 0) -> Answer:
    """Say how many predictions differ in two arms, and the ratio; `chosen` counts arms that they were picked from."""
    figures = [brief(arm.find("disagreement").value or 0.0) for arm in (low, high)]
    parts, arms = _say_shares(found, low, figures[0], high, figures[1]), (low.name, high.name)
    ratio = contrast(low, high, found.find("disagreement"))
    if ratio is None:
        both = _differs(low) and _differs(high)
        grid = any(arm.crossed is not None for arm in (low, high))
        missing = "the runs of a grid are no independent replicas" if grid else "it takes three replicas of each"
        because = f"Without an interval: {missing}." if both else "Of 0 there is no ratio."
        return Answer("finding", parts, because, page, "disagreement", arms)
    if chosen:
        said = f"They are the least and the most of {chosen} arms, chosen after looking, so this interval is too narrow"
        said += ": the sentences below correct for that. "
    else:
        said = _say_rest(ratio)
    parts = (*parts, f": ratio {show_ratio(ratio.value, ratio.interval)}")
    because = f"[ ] 95 % of the ratio over replicas, on the logarithm, Welch's t. {said}{SHARED}"
    return Answer("finding", parts, because, page, "disagreement", arms)


def _say_shares(
    found: Found, low: ArmMeasures, share: str, high: ArmMeasures | None = None, more: str = ""
) -> tuple[Part, ...]:
    """Say that one source changes so many predictions; where arms are no single source, that replicas disagree.

    That holds of arms too that vary what another one does, with other settings: these change nothing by themselves.
    """
    of = "words" if found.is_text else "predictions"
    named = [arm for arm in (low, high) if arm is not None]
    beside = named if len(named) > 1 else found.arms
    twins = sum((arm.vary, arm.onset) == (low.vary, low.onset) for arm in beside)
    if twins == 1 and all(len(arm.vary) == 1 and arm.ensemble_size == 1 for arm in named):
        parts: tuple[Part, ...] = (name(low), f" changes {share} % of {of}")
        return parts if high is None else (*parts, ", ", name(high), f" {more} %")
    parts = ("Two replicas of ", name(low), f" disagree on {share} % of {of}")
    return parts if high is None else (*parts, ", two of ", name(high), f" on {more} %")


def _say_rest(found: Contrast) -> str:
    """Say whether the two are told apart, and how many replicas would be needed where they are not."""
    if found.is_seen:
        return f"Equal arms are this far apart with a probability of {_show_chance(found.chance)}. "
    more = (
        "" if not found.more else f"; about {plural(found.more, 'more replica')} of each would tell a ratio this large"
    )
    return f"The interval holds 1: they are not told apart{more}. "


def _show_chance(chance: float) -> str:
    return "less than 0.0001" if chance < 1e-4 else f"{chance:.2g}"


def answer_separation(found: Found, measure: Measure) -> list[Answer]:
    """Say which arms of one network can be told apart by a measure, and what could not have been seen."""
    answers: list[Answer] = []
    key = measure.key
    for group in found.group():
        arms = [arm for arm in _leave_out_twins(group) if (arm.find(key).value or 0.0) > 0]
        contrasts = contrast_all(arms, measure)
        if len(contrasts) < 2:  # a single comparison is said already
            continue
        arms = [arm for arm in arms if any(arm in (one.one, one.other) for one in contrasts)]
        sure, compared = correct(contrasts), plural(len(contrasts), "comparison")
        rest = len(contrasts) - len(sure)
        limit = _say_limit(arms) if measure.statistic == "sd" else ""
        if sure:
            parts: tuple[Part, ...] = (
                f"By {measure.title}, {len(sure)} of {plural(len(contrasts), 'pair')} of arms can be told apart: ",
                *_list_pairs(sure),
                f"; {rest} cannot" if rest else "",
            )
        else:
            at_once = f" can be told apart when all {len(contrasts)} pairs are judged at once"
            parts = (f"By {measure.title}, no two of ", *join(arms), at_once)
        not_equal = "Arms that are not told apart need not be alike. " if rest else ""
        because = f"{HOLM.format(compared)}{limit}{not_equal}{SHARED}"
        named = tuple(dict.fromkeys(arm.name for one in sure for arm in (one.one, one.other)))
        answers.append(Answer("finding", parts, because, "intervals", key, named or tuple(a.name for a in arms)))
    return answers


def _leave_out_twins(arms: Sequence[ArmMeasures]) -> list[ArmMeasures]:
    """Leave out arms of the same runs as one before them."""
    seen: dict[object, ArmMeasures] = {}
    for arm in arms:
        seen.setdefault((arm.runs_used, arm.ensemble_size) if arm.runs_used else arm.name, arm)
    return list(seen.values())


def _list_pairs(sure: Sequence[Contrast]) -> tuple[Part, ...]:
    """List pairs with their ratios, the lower arm first; of many the surest."""
    parts: list[Part] = []
    for place, one in enumerate(sure[:MOST_PAIRS]):
        below, above = (one.one, one.other) if one.value < 1 else (one.other, one.one)
        ratio = min(one.value, 1 / one.value) if one.is_ratio else None
        parts += ["; " if place else "", name(below), " below ", name(above)]
        parts.append("" if ratio is None else f" (ratio {ratio:.2f})")
    if len(sure) > MOST_PAIRS:
        parts.append(f"; and {len(sure) - MOST_PAIRS} more")
    return tuple(parts)


def _say_limit(arms: Sequence[ArmMeasures]) -> str:
    """Say which ratio of two SDs these numbers of replicas can show."""
    ratios = [ratio for arm in arms if (ratio := arm.find("sd_ratio").value) is not None]
    counts = sorted({arm.n for arm in arms})
    if not ratios:
        return ""
    size = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"With {size} replicas an F test of normal figures finds a factor of {max(ratios):.2g} between two SDs 4 times "
        "in 5; these intervals, which allow for heavy tails, find it less often. "
    )


def answer_chance(found: Found) -> list[Answer]:
    """Say how much of the accuracies' scatter is the chance of the test set alone."""
    known = [
        arm for arm in found.arms
        if not arm.onset and arm.find("true_sd").interval is not None and (arm.find("sample_sd").value or 0.0) > 0
    ]  # fmt: skip
    if not known or found.is_text:
        return []
    real = [arm for arm in known if (arm.find("true_sd").interval or (0.0, 0.0))[0] > 0]
    hidden = [arm for arm in known if arm not in real]
    because = (
        "The true SD is that of accuracy on all data of this kind: the variance less each example's own. "
        "[ ] 95 %; where it reaches 0, chance in which test examples are right explains the scatter. "
        "Not corrected for the number of arms."
    )
    shown: list[Part] = []
    for place, arm in enumerate(real[:MOST_PAIRS]):
        value = arm.find("true_sd")
        ends = value.interval or (0.0, 0.0)
        shown += ["; " if place else "", name(arm), f" truly scatters by {value.value or 0:.2g} % "]
        shown.append(f"[{ends[0]:.2g} {ends[1]:.2g}]")
    if len(real) > MOST_PAIRS:
        shown.append(f"; and so do {len(real) - MOST_PAIRS} more")
    whole = {1: "the one arm", 2: "both arms"}.get(len(known), f"all {len(known)} arms")
    every = f"{len(hidden)} of {len(known)} arms" if real else whole
    said: list[Part] = [f"In {every}, the accuracy SD cannot be told from what the test set's size alone gives"]
    parts = (*(said if hidden else ()), *(("; ",) if hidden and real else ()), *shown)
    return [Answer("finding", parts, because, "diagnostics", "true_sd", tuple(arm.name for arm in real))]


def answer_ensembles(found: Found) -> list[Answer]:
    """Say which arm gains most by averaging two of its replicas, and in how many arms that gains at all."""
    key = "ensemble_perplexity_delta" if found.is_text else "ensemble_delta"
    measure, sign = found.find(key), -1.0 if found.is_text else 1.0
    known = [arm for arm in found.arms if arm.find(key).interval is not None and _differs(arm)]
    gains = [arm for arm in known if _reaches_above(arm, key, sign)]
    if not known:
        return []
    because = "[ ] 95 %, from leaving out each replica in turn; not corrected for the number of arms."
    if not gains:
        parts: tuple[Part, ...] = ("Averaging two replicas gains nothing that can be told from chance, in any arm",)
        return [Answer("finding", parts, because, "intervals", key)]
    best = max(gains, key=lambda arm: sign * (arm.find(key).value or 0.0))
    shown = show_estimate(_turn(best.find(key), sign), measure, found.symbols)
    gain = f" {shown} less perplexity" if found.is_text else f" {shown} points of accuracy"
    parts = (
        "Averaging two replicas gains most in ", name(best), f":{gain}",
        f"; it gains in {len(gains)} of {len(known)} arms" if len(known) > 1 else "",
    )  # fmt: skip
    return [Answer("finding", parts, because, "intervals", key, (best.name,))]


def _turn(found: Estimate, sign: float) -> Estimate:
    """Return an estimate with its sign changed where `sign` is negative."""
    if sign > 0 or found.value is None or found.interval is None:
        return found
    return Estimate(-found.value, interval=(-found.interval[1], -found.interval[0]))


def _reaches_above(arm: ArmMeasures, key: str, sign: float) -> bool:
    interval = arm.find(key).interval
    return interval is not None and min(sign * end for end in interval) > 0


def answer_settings(found: Found) -> list[Answer]:
    """Say which of two networks or trainings is better, where arms with the same sources differ in settings."""
    answers: list[Answer] = []
    groups = found.group()
    key = "perplexity_mean" if found.is_text else "accuracy_mean"
    measure = found.find(key)
    for place, group in enumerate(groups):
        for later in groups[place + 1 :]:
            pairs = [(a, b) for a in group for b in later if a.vary == b.vary and a.vary and not found.stops(a, b)]
            found_pairs = [one for a, b in pairs if (one := contrast(a, b, measure)) is not None]
            if found_pairs:
                answers.append(_compare_settings(found_pairs[0], found))
    return answers


def _compare_settings(one: Contrast, found: Found) -> Answer:
    first, second = (one.one, one.other) if one.value >= 0 else (one.other, one.one)
    ends = one.interval if one.value >= 0 else (-one.interval[1], -one.interval[0])
    gap = f"{abs(one.value):.2f} [{ends[0]:.2f} {ends[1]:.2f}]"
    figure, unit = ("perplexity", "") if found.is_text else ("accuracy", " points")
    if one.is_seen:
        parts: tuple[Part, ...] = (name(first), f" has a higher {figure} than ", name(second), f" by {gap}{unit}")
    else:
        parts = (name(first), " and ", name(second), f" cannot be told apart in {figure}: {gap}{unit}")
    more = "" if one.is_seen or not one.more else (
        f" About {plural(one.more, 'more replica')} of each would tell a difference as large as this."
    )  # fmt: skip
    because = f"Difference of the means, [ ] 95 %, Welch's t.{more} {SHARED}"
    return Answer("finding", parts, because, "intervals", one.measure.key, (one.one.name, one.other.name))


def answer_onsets(found: Found, families: Sequence[tuple[str, Sequence[ArmMeasures]]]) -> list[Answer]:
    """Say how much less replicas disagree where sources begin to differ late.

    Args:
        found: The study.
        families: Arms that differ in nothing but their onset, by it, with the name that they share.
    """
    answers: list[Answer] = []
    for _, family in families:
        first, last = family[0], family[-1]
        if len(family) > 1 and None not in (first.find("disagreement").value, last.find("disagreement").value):
            answers.append(_compare_two(found, last, first, "time"))
    return answers


def answer_crossed(found: Found) -> list[Answer]:
    """Say how much of an accuracy's variance two crossed sources have in common."""
    answers: list[Answer] = []
    for arm in found.arms:
        parts_of = None if arm.crossed is None else arm.crossed.accuracy or arm.crossed.log_probability
        share = None if parts_of is None else parts_of.interaction.share
        if arm.crossed is None or parts_of is None or share is None or not math.isfinite(share):
            continue
        one, other = arm.crossed.sources
        mains = [part.share or 0.0 for part in (parts_of.first, parts_of.second)]
        parts: tuple[Part, ...] = (
            "In ", name(arm), f", {100 * share:.0f} % of the variance is the interaction of {one} and {other}, "
            f"{100 * mains[0]:.0f} % {one} alone and {100 * mains[1]:.0f} % {other} alone",
        )  # fmt: skip
        because = (
            "Shares of what is above 0, from the mean squares of the grid; chance in which test examples are right "
            "counts as interaction here."
        )
        answers.append(Answer("finding", parts, because, "diagnostics", None, (arm.name,)))
    return answers
