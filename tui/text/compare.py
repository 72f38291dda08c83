"""Two arms side by side: how much each scatters and how alike its replicas are, with intervals of what differs.

Means are left out: `engine.metrics` compares them replica by replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalog.measure_declaration import CONFIDENCE
from engine.study.estimate import Interval
from engine.study.metrics_record import ArmMeasures
from tui.text.differences import divide, find_side, subtract, unbias
from tui.text.format import UNICODE, Symbols, format_number
from tui.text.tables import Column, make_columns


@dataclass(frozen=True)
class Difference:
    """One measure of two arms, whose SDs are compared by their ratio and other figures by their difference."""

    title: str
    one: float | None
    other: float | None
    is_ratio: bool
    difference: float | None
    """First less second, or first by second; None where an arm has no value."""
    interval: Interval | None
    """95 %; None where an arm has none."""

    @property
    def is_seen(self) -> bool:
        """Tell whether the interval leaves out what equal arms would have; False where there is no interval."""
        equal = 1.0 if self.is_ratio else 0.0
        return self.interval is not None and not self.interval[0] <= equal <= self.interval[1]


def compare_arms(one: ArmMeasures, other: ArmMeasures, symbols: Symbols = UNICODE) -> list[Difference]:
    """Return the differences of two arms in the measures of the table that are no means, and the ratios of SDs.

    Arms are taken as independent. An arm that shares runs or seeds with the other makes these intervals wider than
    they need be, not narrower, where the two correlate positively.
    """
    found: list[Difference] = []
    for column in pick_compared(one, other, symbols):
        estimates = [arm.find(column.measure.key) for arm in (one, other)]
        a, b = (estimate.value for estimate in estimates)
        first, second = (find_side(estimate, arm.n) for estimate, arm in zip(estimates, (one, other), strict=True))
        is_ratio = column.measure.statistic == "sd"
        difference = interval = None
        if is_ratio and first is not None and second is not None:
            first, second = unbias(first), unbias(second)
            interval = divide(first, second)
            difference = None if interval is None else first.value / second.value
        elif not is_ratio and a is not None and b is not None:
            difference = a - b
            interval = None if first is None or second is None else subtract(first, second)
        found.append(Difference(f"{column.title}, {column.unit}", a, b, is_ratio, difference, interval))
    return found


def pick_compared(one: ArmMeasures, other: ArmMeasures, symbols: Symbols = UNICODE) -> list[Column]:
    """Return the columns of the table that two arms are compared in: those that are no means."""
    columns = make_columns(symbols, text=one.text and other.text)
    return [column for column in columns if column.measure.statistic != "mean"]


def format_differences(differences: list[Difference], symbols: Symbols = UNICODE) -> list[str]:
    """Make one line per measure, with a mark where the interval leaves zero out."""
    width = max((len(d.title) for d in differences), default=0)
    lines = [f"{'measure':{width}}  {'first':>10}  {'second':>10}  {'difference or ratio':>26}"]
    for d in differences:
        one, other = (format_number(value, 3, symbols) for value in (d.one, d.other))
        mark = " *" if d.is_seen else ""
        lines.append(f"{d.title:{width}}  {one:>10}  {other:>10}  {format_difference(d):>26}{mark}")
    return [*lines, "", *explain_differences(differences)]


def explain_differences(differences: Sequence[Difference]) -> list[str]:
    """Say what the figures are, and how often chance alone marks some of so many."""
    compared = sum(d.interval is not None for d in differences)
    by_chance = 100.0 * (1.0 - CONFIDENCE**compared)
    return [
        "difference: first − second; ratio: first / second, of SDs with R − 1 in the denominator",
        f"* the 95 % interval leaves out 0, or the ratio 1; with {compared} measures compared at once, at least one "
        f"does so by chance in about {by_chance:.0f} % of comparisons without any difference",
    ]


def format_difference(d: Difference) -> str:
    """Return the difference or the ratio with its interval; nothing where there is none."""
    if d.difference is None:
        return "no spread in one" if d.is_ratio and (d.one == 0) != (d.other == 0) else ""
    sign, name = ("", "ratio ") if d.is_ratio else ("+", "")
    ends = "" if d.interval is None else f" [{d.interval[0]:{sign}.3f} {d.interval[1]:{sign}.3f}]"
    return f"{name}{d.difference:{sign}.3f}{ends}"
