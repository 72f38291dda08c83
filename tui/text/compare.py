"""Two arms side by side: what differs between them, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.catalog.measure_declaration import CONFIDENCE, NORMAL_QUANTILE, Measure
from engine.study.metrics_record import ArmMeasures
from tui.text.format import UNICODE, Symbols, format_number
from tui.text.tables import make_columns


@dataclass(frozen=True)
class Difference:
    """One measure of two arms."""

    title: str
    one: float | None
    other: float | None
    difference: float | None
    half_width: float | None
    """Half the width of the 95 % interval around the difference; None where an arm has none."""

    @property
    def is_seen(self) -> bool:
        """Tell whether the interval excludes zero; False where there is no difference or no interval."""
        return self.difference is not None and self.half_width is not None and abs(self.difference) > self.half_width


def compare_arms(one: ArmMeasures, other: ArmMeasures, symbols: Symbols = UNICODE) -> list[Difference]:
    """Return the differences of two arms in every measure of the table, first less second.

    Arms are taken as independent: their half widths are added in quadrature. An arm that shares runs or seeds with the
    other makes this interval wider than it need be, not narrower, where they correlate positively.
    """
    found: list[Difference] = []
    for column in make_columns(symbols, text=one.text and other.text):
        a, b = (arm.find(column.measure.key).value for arm in (one, other))
        known = [half for arm in (one, other) if (half := _half_width(arm, column.measure)) is not None]
        half = math.hypot(*known) if len(known) == 2 else None
        difference = None if a is None or b is None else a - b
        found.append(Difference(f"{column.title}, {column.unit}", a, b, difference, half))
    return found


def _half_width(arm: ArmMeasures, measure: Measure) -> float | None:
    """Return half the width of a measure's 95 % interval; of a mean that of its standard error."""
    if measure.spread_key is None:
        return arm.find(measure.key).half_width
    spread = arm.find(measure.spread_key).value
    # This is the standard error of a mean, computed from the SD with ddof 0.
    return NORMAL_QUANTILE * spread / math.sqrt(arm.n - 1) if spread is not None and arm.n > 1 else None


def format_differences(differences: list[Difference], symbols: Symbols = UNICODE) -> list[str]:
    """Make one line per measure, with a mark where the interval leaves zero out."""
    width = max((len(d.title) for d in differences), default=0)
    lines = [f"{'measure':{width}}  {'first':>10}  {'second':>10}  {'first − second':>26}"]
    for d in differences:
        ends = ""
        if d.difference is not None:
            ends = f"{d.difference:+.3f}"
            if d.half_width is not None:
                ends += f" [{d.difference - d.half_width:+.3f} {d.difference + d.half_width:+.3f}]"
        mark = " *" if d.is_seen else ""
        one, other = (format_number(value, 3, symbols) for value in (d.one, d.other))
        lines.append(f"{d.title:{width}}  {one:>10}  {other:>10}  {ends:>26}{mark}")
    compared = sum(d.difference is not None and d.half_width is not None for d in differences)
    by_chance = 100.0 * (1.0 - CONFIDENCE**compared)
    note = (
        f"* the 95 % interval of the difference leaves zero out; with {compared} measures compared at once, at least "
        f"one does so by chance in about {by_chance:.0f} % of comparisons without any difference"
    )
    return [*lines, "", note]
