"""Says how far the comparison of a study's two arms is while pairs of their replicas are trained, and how it ended."""

from __future__ import annotations

import math

from engine.protocol.faults import printable
from engine.study.comparison_record import UNITS
from engine.study.decision_record import CompareSettings, DecisionRecord
from engine.study.paired import Pairs, count_pairs
from engine.study.rounds import Round, find_first_end, find_pairs_needed, find_rounds
from engine.study.snapshot import StudySnapshot
from tui.text.counts import plural
from tui.text.format import UNICODE, Symbols, digits_for, shorten
from tui.text.series import Curve


def make_rounds_curve(snapshot: StudySnapshot, symbols: Symbols = UNICODE) -> Curve | None:
    """Make the curve of the difference by pairs, with the interval that closes around it; None where no pair counts.

    Of the first four pairs no interval says anything.
    """
    settings = snapshot.compare
    if settings is None or not settings.until_decided:
        return None
    differences = count_pairs(snapshot.arms, settings).differences
    if not differences:
        return None
    rounds = find_rounds(differences)
    middle = (differences[0], *(one.difference for one in rounds))
    outer = (None, *(one.ends if math.isfinite(one.half) else None for one in rounds))
    place = next((number for number, arm in enumerate(snapshot.arms) if arm.name == settings.a), 0)
    half = rounds[-1].half if rounds else math.inf
    places = min(4, max(2, digits_for(half))) if 0 < half < math.inf else 2
    label = f"{middle[-1]:+.{places}f}" + (f" {symbols.plus_minus}{half:.{places}f}" if half < math.inf else "")
    return Curve(settings.a, place, middle, outer=outer, label=label)


def list_levels(snapshot: StudySnapshot) -> tuple[float, ...]:
    """List what the interval is judged by: 0, and the margin to both sides where there is one."""
    settings = snapshot.compare
    if settings is None:
        return ()
    return (0.0,) if settings.margin is None else (-settings.margin, 0.0, settings.margin)


def describe_comparison(snapshot: StudySnapshot, symbols: Symbols = UNICODE) -> list[str]:
    """Return the lines that say how far the comparison is, or how it ended; none of a study that has none."""
    settings = snapshot.compare
    if settings is None or not settings.until_decided:
        return []
    pairs = count_pairs(snapshot.arms, settings)
    rounds = find_rounds(pairs.differences)
    left_out = pairs.passed - len(pairs.numbers)
    found = find_first_end(rounds, settings.margin)
    latest = found or (rounds[-1] if rounds else None)
    lines = [_tell_state(pairs, latest, settings, decided=found is not None)]
    if latest is not None and math.isfinite(latest.half):
        shown = show_difference(latest.difference, latest.ends, settings, symbols)
        lines.append(f"{name_difference(settings)}, while looking: {shown}")
    if found is None and latest is not None:
        lines += _tell_rest(latest, pairs, settings, symbols)
    if left_out:
        what = "pair does" if left_out == 1 else "pairs do"
        lines.append(f"{left_out} {what} not count: a run failed or diverged, or both arms share it")
    return lines


def _tell_state(pairs: Pairs, latest: Round | None, settings: CompareSettings, *, decided: bool) -> str:
    if latest is not None and decided:
        after = f"decided after {plural(latest.pairs, 'pair')}"
        if latest.find_end(settings.margin) == "a difference":
            side = f"has a {say_side(latest.difference)} {settings.measure} than"
            return f"{after}: {printable(settings.a)} {side} {printable(settings.b)}"
        return f"{after}: no difference in {settings.measure} that matters, all within the margin"
    if pairs.passed == pairs.planned:
        return f"undecided after all {plural(pairs.planned, 'pair')} of replicas"
    return f"undecided after {plural(pairs.passed, 'pair')} of replicas, {pairs.planned} at most"


def _tell_rest(latest: Round, pairs: Pairs, settings: CompareSettings, symbols: Symbols) -> list[str]:
    """Say how many pairs would settle it at the scatter so far, where that can be said."""
    if not math.isfinite(latest.half):
        return ["the first pairs cannot decide anything yet"]
    goals = [abs(latest.difference)] + ([] if settings.margin is None else [settings.margin])
    if latest.sd == 0.0 or max(goals) == 0.0:
        return []
    needed = find_pairs_needed(latest.sd, max(goals))
    if needed is None or needed <= pairs.passed:
        return []
    beyond = f", more than the {pairs.planned} that the protocol allows" if needed > pairs.planned else ""
    return [f"at this scatter about {needed} pairs would decide it{beyond}"]


def list_verdicts(
    settings: CompareSettings, decision: DecisionRecord | None, symbols: Symbols = UNICODE
) -> tuple[str, ...]:
    """Return the verdict on a study's two arms in ever fewer words, after its training; the last takes least room.

    Args:
        settings: What is compared.
        decision: What was decided; None where all pairs there may be did not tell the arms apart.
        symbols: Characters that the terminal can show.
    """
    if decision is None:
        return (f"undecided in {settings.measure} after all pairs", "undecided after all pairs", "undecided")
    after = f"after {plural(decision.counted, 'pair')}"
    if decision.end == "no difference that matters":
        return (f"{decision.end} in {settings.measure} {after}", decision.end, "no difference")
    above, below = map(printable, (settings.a, settings.b) if decision.difference > 0 else (settings.b, settings.a))
    places = max(2, min(digits_for((decision.interval[1] - decision.interval[0]) / 2 or abs(decision.difference)), 6))
    by = f"{abs(decision.difference):.{places}f}"
    unit = f" {UNITS.get(settings.measure, '')}".rstrip()
    return (
        f"{above} has a higher {settings.measure} than {below}, by {by}{unit} {after}",
        f"{above} has a higher {settings.measure} than {below}, by {by}",
        f"{above} above {below} by {by}",
        f"{shorten(above, SHORT_NAME, symbols)} is above",
        "a difference",
    )


SHORT_NAME = 14
"""Columns of an arm's name where a verdict has little room."""


def say_side(difference: float) -> str:
    """Say on which side of the second arm the first one lies."""
    return "higher" if difference > 0 else "lower"


def name_difference(settings: CompareSettings) -> str:
    """Name what the rounds are the difference of."""
    return f"{printable(settings.a)} less {printable(settings.b)}"


def show_difference(
    difference: float, ends: tuple[float, float], settings: CompareSettings, symbols: Symbols = UNICODE
) -> str:
    """Return a difference with its interval, its unit and the margin."""
    low, high = ends
    places = max(2, min(digits_for((high - low) / 2 or abs(difference)), 6))
    unit = f" {UNITS.get(settings.measure, '')}".rstrip()
    margin = "" if settings.margin is None else f", margin {symbols.plus_minus} {settings.margin:g}"
    return f"{difference:+.{places}f} [{low:+.{places}f} {high:+.{places}f}]{unit}{margin}"
