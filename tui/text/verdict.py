"""Says in a sentence what can be told by now of one arm's spread beside the others'; plain arithmetic, no numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.catalog.measure_declaration import Measure
from engine.protocol.faults import printable
from engine.study.estimate import Interval
from engine.study.metrics_record import SCORE_PREFIX, ArmMeasures
from tui.text.contrasts import count_more
from tui.text.counts import be
from tui.text.differences import Side, divide, find_side, unbias
from tui.text.few_measures import pick_measures
from tui.text.format import UNICODE, Symbols, mark_arm
from tui.text.tables import MIXED, describe_devices

RATIO = 1.3
"""The ratio of two SDs whose number of replicas is named: smaller ones matter little beside their errors."""

FEWEST = 3
"""Replicas that an interval needs."""

FEW_NAMES = 2
"""More arms than these are counted: a row of marks alone, in one colour, names nobody."""


@dataclass(frozen=True)
class Pair:
    """Another arm beside the one that the sentence is about."""

    number: int
    name: str
    ratio: float
    interval: Interval
    """95 % of the ratio of SDs with R − 1, taken by itself."""
    more: int | None
    """Replicas of each arm that would tell RATIO apart; None where it would take too many."""

    @property
    def is_seen(self) -> bool:
        """Tell whether the interval leaves out 1."""
        return not self.interval[0] <= 1 <= self.interval[1]


def count_replicas(one: Side, other: Side, ratio: float = RATIO) -> int | None:
    """Return how many more replicas of each arm find a ratio of their SDs at 5 % with a probability of POWER at least.

    The error by now is that of the interval. Where there are few replicas it shrinks faster than with their root, which
    is taken here, so that more are named than are needed.

    Args:
        one: An SD with R − 1 in the denominator.
        other: That of the other arm.
        ratio: What is to be found, above 1.

    Returns:
        0 where there are enough; None where one has no spread, and where no number is worth naming.
    """
    ends = divide(one, other)
    if ends is None:
        return None
    reach = (math.log(ends[1]) - math.log(ends[0])) / 2
    return count_more(math.log(ratio), reach, math.inf, (one, other))


def compare_spreads(measured: Sequence[ArmMeasures | None], number: int, measure: Measure) -> list[Pair]:
    """Compare an arm's SD with that of every other one that has any, the nearest ratio first."""
    arm = measured[number]
    own = None if arm is None else find_side(arm.find(measure.key), arm.n)
    found: list[Pair] = []
    for place, other in enumerate(measured):
        side = None if other is None or place == number else find_side(other.find(measure.key), other.n)
        if own is None or side is None or other is None or min(own.value, side.value) <= 0:
            continue
        one, two = unbias(own), unbias(side)
        interval = divide(one, two)
        if interval is not None:
            found.append(Pair(place, other.name, one.value / two.value, interval, count_replicas(one, two)))
    return sorted(found, key=lambda pair: abs(math.log(pair.ratio)))


def make_verdicts(
    names: Sequence[str], metrics: Mapping[str, ArmMeasures], number: int, symbols: Symbols = UNICODE
) -> list[str]:
    """Say what can be told of an arm's spread by now, in texts from the longest to the shortest.

    What puts that in doubt comes first: runs on several models of device.

    Args:
        names: The arms in the order of the protocol.
        metrics: Their measures, as far as there are any.
        number: The place of the arm that it is about.
        symbols: What can be shown.
    """
    texts = _tell_apart(names, metrics, number, symbols)
    arm = metrics.get(names[number])
    if arm is None or len(arm.devices) < 2:
        return texts
    called = _call(number, names[number], symbols)
    doubts = (f"{called}: {describe_devices(arm.devices)}: {MIXED}", f"{called} mixes models of device")
    return [f"{doubt}. {text}" for doubt in doubts for text in texts] + [doubts[1]]


def _tell_apart(names: Sequence[str], metrics: Mapping[str, ArmMeasures], number: int, symbols: Symbols) -> list[str]:
    """Say whether an arm's spread can be told apart from the others'; see `make_verdicts`."""
    measured = [metrics.get(name) for name in names]
    measure = pick_measures([arm for arm in measured if arm is not None])[0][0]
    arm, called = measured[number], _call(number, names[number], symbols)
    if arm is None or arm.n == 0:
        return [f"{called}: nothing is measured yet; what can be told takes {FEWEST} replicas"]
    sd = arm.find(measure.key).value
    if arm.n < FEWEST and (arm.n == 1 or sd != 0):
        have = f"only {arm.n}" if arm.n >= arm.planned else f"{arm.n} of {arm.planned}"
        return [f"{called}: {have} {be(arm.n)} measured; what can be told takes {FEWEST} replicas"]
    if sd == 0:
        alike = "alike to the last bit" if arm.identical_weights else f"of one {measure.title.removesuffix(' SD')}"
        return [f"{called} has no spread: its {arm.n} replicas are {alike}"]
    pairs = compare_spreads(measured, number, measure)
    flat = [n for n, one in enumerate(measured) if one is not None and one.n > 1 and one.find(measure.key).value == 0]
    apart = [pair for pair in pairs if pair.is_seen]
    close = [pair for pair in pairs if not pair.is_seen]
    if not pairs:
        return [f"{called}: there is no other arm with a spread to compare it with"]
    told = [f"{_call(pair.number, pair.name, symbols)} ({_show(pair)})" for pair in apart]
    told += [f"{_call(n, names[n], symbols)} (no spread)" for n in flat]
    told_all = f"told apart from {_join(told)}" if told else ""
    if not close:
        return [f"{called} can be {told_all}", f"{called} can be told apart from every other arm"]
    nearest = close[0]
    first = f"{called} cannot be told apart from {_call(nearest.number, nearest.name, symbols)} yet"
    of = f"{measure.title}s" if measure.key.startswith(SCORE_PREFIX) else "SDs"
    ratio = f"ratio of {of} {_show(nearest)}"
    enough = nearest.more is None or nearest.more == 0
    more = "" if enough else f"; about {nearest.more} more replicas of each would tell {RATIO:g} apart"
    others = [_call(pair.number, pair.name, symbols) for pair in close[1:]]
    also = f"; nor from {_join(others) if len(others) <= FEW_NAMES else f'{len(others)} others'}" if others else ""
    rest = f". It can be {told_all}" if told_all else ""
    return [f"{first}: {ratio}{more}{also}{rest}", f"{first}: {ratio}{more}{also}", f"{first}: {ratio}{more}",
            f"{first}: {ratio}"]  # fmt: skip


def _call(number: int, name: str, symbols: Symbols) -> str:
    return f"{mark_arm(number, symbols)} {printable(name)}"


def _show(pair: Pair) -> str:
    return f"{pair.ratio:.2f} [{pair.interval[0]:.2f} {pair.interval[1]:.2f}]"


def _join(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
