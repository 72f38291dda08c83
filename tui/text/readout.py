"""One figure of one arm in a sentence: what it is, what stands beside it, what was published of it."""

from __future__ import annotations

from engine.catalog.measure_declaration import Measure
from engine.catalog.published import find_rows
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures
from tui.text.counts import plural
from tui.text.differences import differs_from_published, find_side
from tui.text.format import UNICODE, Symbols, format_ends, format_number, format_with_error
from tui.text.tables import arm_name, make_notes


def describe_figure(
    arm: ArmMeasures, measure: Measure, symbols: Symbols = UNICODE, *, reference: str | None = None
) -> str:
    """Say what a figure is, with its error, its interval and what was published.

    Args:
        arm: Whose figure it is.
        measure: The figure.
        symbols: What can be shown.
        reference: The published table that the protocol names.
    """
    found = arm.find(measure.key)
    if found.value is None:
        reason = arm.reasons.get(measure.key, "there is none")
        if arm.n + arm.damaged + arm.diverged == 0:
            reason = "no replica has finished"  # what else is missing follows from that
        return f"{arm_name(arm)}, {measure.title}: {printable(reason)}"
    value = format_with_error(found.value, found.error, measure.digits, symbols).split(f" {symbols.plus_minus} ")
    parts = [f"{arm_name(arm)}, {measure.title}: {value[0]} {measure.unit}"]
    if len(value) > 1:
        parts.append(f"{symbols.plus_minus} {value[1]} over {arm.bootstrap:,} resamples")
    if found.interval is not None:
        parts.append(f"95 % {format_ends(found.value, found.interval) or 'without width: replicas are alike'}")
    elif (reason := arm.reasons.get(measure.interval_field or "")) is not None:
        parts.append(f"no interval: {printable(reason)}")
    parts.append(plural(arm.n, "replica"))
    parts += _list_published(arm, measure, symbols, reference)
    return "; ".join(parts)


def _list_published(arm: ArmMeasures, measure: Measure, symbols: Symbols, reference: str | None) -> list[str]:
    parts: list[str] = []
    for row in find_rows(reference, arm_name(arm)) if reference else ():
        value = row.figures.get(measure.key)
        if value is None:
            continue
        error = row.figures.get(measure.error_field or "")
        shown = f"{value:g}" if not error else f"{value:g} {symbols.plus_minus} {error:g}"
        side = find_side(arm.find(measure.key), arm.n)
        rounding = row.rounding[measure.key]
        if side is None:
            said = ""
        elif differs_from_published(side, value, error, row.replicas, rounding):
            said = ", farther away than both errors explain"
        else:
            said = ", within the errors of both"
        parts.append(f"{row.kind} {shown} of {row.replicas}{said}")
    return parts


def describe_arm(arm: ArmMeasures, symbols: Symbols = UNICODE) -> list[str]:
    """Say what there is to know of an arm beside its figures: what varies, how many replicas, what is the matter."""
    vary = ", ".join(arm.vary) or "nothing"
    group = f", ensembles of {arm.ensemble_size}" if arm.ensemble_size > 1 else ""
    onset = "" if not arm.onset else f" from epoch {arm.onset} on"
    counts = f"{arm.n} of {arm.planned} replicas" if arm.n < arm.planned else plural(arm.n, "replica")
    said = f"{arm_name(arm)}: {vary} varies{onset}{group}; {counts}"
    found = arm.find("accuracy_mean")
    if found.value is not None:
        said += f"; mean accuracy {format_number(found.value, 2, symbols)} %"
    return [said, *(note.partition(": ")[2] for note in make_notes([arm]))]
