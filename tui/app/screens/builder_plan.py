"""Renders what comes of a protocol as lines: its state, its plan and cost, its faults."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from engine.catalog.sources import SOURCES
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import Fault, printable
from tui.app.document import Document
from tui.app.estimate import Estimate, Timing, may_time_unasked
from tui.app.previewed import ProtocolPreview
from tui.app.screens.builder_lines import EMPTY, FAULT, warning_style
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.counts import plural
from tui.text.format import UNICODE, format_bytes, format_seconds
from tui.text.places import count_places


def title_text(document: Document, name: str, *, saved: str, state: tuple[str, str], place: str, width: int) -> Text:
    """Say the protocol's name, whether it is saved, what comes of it, and where its file is.

    Args:
        document: The protocol.
        name: What it is called where it has no name.
        saved: What the file holds.
        state: What comes of it, and the style of that.
        place: Its file.
        width: Columns at hand.
    """
    name = printable(str(document.get("protocol.name") or name))
    mark = "" if document.text() == saved else " (not saved)"
    title = Text.assemble((f" {name}{mark}   ", "bold"), state, no_wrap=True, overflow="ellipsis")
    room = width - title.cell_len - 4
    if len(place) <= room:
        title.append(f"{place:>{room + 3}}", "dim")
    return title


def describe_state(plan: Plan | None, faults: Sequence[Fault], time: str, obstacles: Sequence[str]) -> tuple[str, str]:
    """Say in one line what comes of a protocol, with the style of that.

    Args:
        plan: Its plan, where it is valid.
        faults: What is wrong with it.
        time: How long it takes, in words; empty where that is not known.
        obstacles: Why it cannot be trained all the same.
    """
    if plan is None:
        return first_fault(faults), FAULT if faults else "dim"
    said = f"valid, {plural(len(plan.recipes), 'run')}" + (f", {time}" if time else "")
    return (f"{said}, but its data are missing", FAULT) if obstacles else (said, "bold")


def first_fault(faults: Sequence[Fault]) -> str:
    """Say what is wrong, in one line."""
    if not faults:
        return "checking …"
    more = f"   and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{UNICODE.failed} {printable(faults[0].key)}: {printable(faults[0].problem)}{more}"


def fault_lines(faults: Sequence[Fault], width: int, *, at: str = "") -> list[Line]:
    """Say of each fault what is wrong, and its remedy, in as many lines as that takes.

    Args:
        faults: What is wrong.
        width: Columns of a line.
        at: The beginning of the keys that the cursor is on, whose faults come first.
    """
    ordered = sorted(faults, key=lambda fault: not (at and fault.key.startswith(at)))
    lines: list[Line] = []
    for fault in ordered:
        lines += style_lines(f"{UNICODE.failed} {fault.key}: {fault.problem}", width, FAULT, indent="    ")
        lines += wrap_lines(f"    {fault.remedy}", width, indent="    ")
    return lines


def style_lines(text: str, width: int, style: str | Style, *, indent: str = "") -> list[Line]:
    """Return a message as lines to read, in one style; see `wrap_lines`."""
    return [Line(Text(line.text.plain, style)) for line in wrap_lines(text, width, indent=indent)]


def plan_lines(
    plan: Plan, preview: ProtocolPreview | None, *, estimate: Estimate | None, notes: Sequence[str], folder: str,
    warnings: Sequence[str], width: int, theme: str,
) -> list[Line]:  # fmt: skip
    """Say what would be trained, how long, where, and what is to be noticed.

    Args:
        plan: The plan of the protocol.
        preview: What is done and where the rest would be trained; None while that is looked into.
        estimate: How long it takes; None where that is not known.
        notes: What is said in its place, and beside it.
        folder: The study's folder.
        warnings: What is to be noticed, such as sources that change nothing.
        width: Columns of a line.
        theme: The framework's name of the theme.
    """
    parts = [f"{plural(len(plan.recipes), 'run')} in {plural(len(plan.arms), 'arm')}"]
    parts.append(count_left(len(plan.recipes), None if preview is None else preview.done))
    if plan.shared:
        parts.append(f"{len(plan.shared)} shared between arms")
    lines = style_lines(" · ".join(parts), width, "bold", indent="  ")
    for text in warnings:
        lines += style_lines(text, width, warning_style(theme), indent="    ")
    if preview is not None:
        cost = [f"on {count_places(preview.places, shown=4, counts=preview.counts)}"]
        if estimate is not None and preview.left:
            cost.insert(0, f"{describe_time(estimate)}, {format_bytes(estimate.disk)} on disk")
        lines += style_lines(" · ".join((*cost, f"into {folder}")), width, "", indent="  ")
    for text in notes:
        lines += style_lines(text, width, "", indent="    ")
    if preview is not None:
        there = "" if preview.missing or preview.own_data else f" · {UNICODE.done} its data are there"
        lines += style_lines(f"{preview.workload}{there}", width, "", indent="  ")
    return lines


def describe_warnings(plan: Plan, preview: ProtocolPreview | None) -> list[str]:
    """Return what is to be noticed of a plan: missing data, code that runs, sources that change nothing."""
    rows: list[str] = []
    if preview is not None:
        rows += [f"{UNICODE.lost} {row}" for row in preview.faults]
        rows += [f"{UNICODE.lost} {one.text}" for one in preview.missing]
        if preview.code:
            rows.append(f"{UNICODE.lost} runs your code: {', '.join(preview.code)}")
    return rows + explain_empty(plan)


def describe_notes(
    protocol: Protocol,
    plan: Plan,
    preview: ProtocolPreview | None,
    timing: Timing,
    *,
    timed_now: bool,
    readonly: bool = False,
) -> list[str]:
    """Return what is said of the time: that it is measured, that t measures it, why it cannot be measured."""
    if timed_now:
        return ["timing an epoch of each workload …"]
    failure = timing.explain_failure(plan)
    if failure:
        return [f"{UNICODE.failed} could not be timed: {' '.join(row.strip() for row in failure)}"]
    if preview is None or not timing.lacks(plan):
        return list(timing.notes)
    if readonly:
        return ["read only: nothing is timed"]
    if may_time_unasked(protocol, preview):
        return ["an epoch is timed in a moment"]
    code = f", which runs your code ({', '.join(preview.code)})" if preview.code else ""
    data = ", which fetches the data" if any(one.fetched for one in preview.missing) else ""
    return [f"how long it takes is not known: t trains for a second per workload{code}{data}"]


def describe_time(estimate: Estimate) -> str:
    """Say how long it takes, in words."""
    return f"{'at most ' if estimate.at_most else ''}about {format_seconds(estimate.seconds)}"


def explain_empty(plan: Plan) -> list[str]:
    """Say of each source that changes nothing in some arms why, and in which."""
    arms: dict[tuple[str, str], list[str]] = {}
    for arm in plan.arms:
        for source, reason in arm.empty.items():
            arms.setdefault((source, reason), []).append(arm.name)
    return [
        f"{EMPTY} {SOURCES[source].title} changes nothing in {', '.join(names)}: {reason}"
        for (source, reason), names in arms.items()
    ]


def count_left(total: int, done: int | None) -> str:
    """Say how many runs are to be trained."""
    return f"counting what is done of {total}" if done is None else f"{total - done} to train, {done} already done"
