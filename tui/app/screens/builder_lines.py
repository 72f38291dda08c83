"""Renders the builder's content as lines: pure functions of the document, its plan and its faults."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from engine.catalog import presets
from engine.catalog.sources import SOURCES
from engine.plan.plan import Plan
from engine.protocol.faults import Fault, printable
from tui.app.document import SETTINGS, Document, default_of, format_value
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.format import UNICODE, shorten_apart

ON, OFF, EMPTY = "■", "·", "–"
ARM_EXAMPLES = {
    "train": '{ schedule = "snapshot", cycles = 5 }',
    "model": '{ preset = "linear" }',
    "data": '{ augment = "none" }',
    "evaluate": "{ flip = true }",
    "crossed": "{ init = 10, shuffle = 10 }",
}
"""What an arm may say for itself, as someone would write it."""


def arm_lines(document: Document, plan: Plan | None, faults: Sequence[Fault], *, column: int, width: int) -> list[Line]:
    """Make a line per arm: its name, a mark per source, and what else is said of it.

    Args:
        document: The protocol as it is being written.
        plan: What comes of it, where it is valid; says which sources are empty.
        faults: What is wrong with it.
        column: The source that the switch is at.
        width: Columns for the name.
    """
    head = Text(f"  {'name':{width}}", style="dim")
    for number, source in enumerate(SOURCES.values()):
        head.append(f"{source.short:>6}", "reverse" if number == column else "dim")
    lines = [Line(head)]
    planned = {arm.name: arm for arm in (plan.arms if plan is not None else ())}
    shown = shorten_apart([printable(str(arm.get("name", "?"))) for arm in document.arms], width)
    faulty = {fault.key.split("]")[0] for fault in faults if fault.key.startswith("arm[")}
    for number, arm in enumerate(document.arms):
        name = printable(str(arm.get("name", "?")))
        row = Text(no_wrap=True)
        row.append(UNICODE.failed + " " if f"arm[{number + 1}" in faulty else "  ", "bold red")
        row.append(f"{shown[number]:{width}}")
        vary = [str(v) for v in arm.get("vary", [])] if isinstance(arm.get("vary", []), list) else []
        vary = vary or [str(v) for v in arm.get("crossed", {})]
        empty = planned[name].empty if name in planned else {}
        for source in SOURCES:
            mark = EMPTY if source in empty else ON if source in vary else OFF
            row.append(f"{mark:>6}", "bold" if mark == ON else "")
        notes = [f"{key} {format_value(arm[key])}" for key in arm if key not in ("name", "vary")]
        if notes:
            row.append("   " + printable("; ".join(notes)), "dim")
        lines.append(Line(row, str(number)))
    if not document.arms:
        lines.append(Line(Text("  no arm yet: a adds one", style="dim")))
    return lines


def setting_lines(document: Document, faults: Sequence[Fault]) -> list[Line]:
    """Make a line per setting: what is left at its default is dim; a fault stands beside its value."""
    problems = {fault.key: fault for fault in faults}
    lines: list[Line] = []
    section = ""
    for key in SETTINGS:
        head, _, name = key.partition(".")
        if head != section:
            section = head
            lines.append(Line(Text(f"[{section}]", style="bold")))
        value = document.get(key)
        known = default_of(key) if value is None else value
        shown = format_value(known) if known not in (None, {}, "") else "–"
        row = Text(f"  {name:18}", no_wrap=True)
        row.append(f"{printable(shown)}", "dim" if value is None else "bold")
        if key in problems:
            row.append(f"   {UNICODE.failed} {printable(problems[key].problem)}", "bold red")
        lines.append(Line(row, key))
    return lines


def title_text(document: Document, name: str, *, saved: str, plan: Plan | None, faults: Sequence[Fault]) -> Text:
    """Say the protocol's name, or `name` where it has none, whether it is saved, and what comes of it."""
    name = printable(str(document.get("protocol.name") or name))
    mark = "" if document.text() == saved else " (not saved)"
    state = f"valid, {len(plan.recipes)} runs" if plan is not None else first_fault(faults)
    style = "bold" if plan is not None else "bold red"
    return Text.assemble((f" {name}{mark}   ", "bold"), (state, style), no_wrap=True, overflow="ellipsis")


def first_fault(faults: Sequence[Fault]) -> str:
    """Say what is wrong, in one line."""
    if not faults:
        return "checking …"
    more = f"   and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{UNICODE.failed} {printable(faults[0].key)}: {printable(faults[0].problem)}{more}"


def fault_lines(faults: Sequence[Fault], width: int) -> list[Line]:
    """Say of each fault what is wrong, and its remedy, in as many lines as that takes."""
    rows = [
        row for fault in faults for row in (f"{UNICODE.failed} {fault.key}: {fault.problem}", f"    {fault.remedy}")
    ]
    return [line for row in rows for line in wrap_lines(row, width, indent="    ")]


def plan_lines(plan: Plan, *, done: int | None, timing: Sequence[str], width: int) -> list[Line]:
    """Say what would be trained.

    Args:
        plan: The plan of the protocol.
        done: Runs that the study has already; None while they are counted.
        timing: The estimate, or nothing where it has not been asked for.
        width: Columns of a line.
    """
    rows = [
        f"{len(plan.recipes)} runs in {len(plan.arms)} {'arm' if len(plan.arms) == 1 else 'arms'} on {plan.device}",
        f"{count_left(len(plan.recipes), done)}, {len(plan.shared)} shared between arms",
    ]
    rows += timing or ["t trains for a second and estimates time and disk"]
    rows += explain_empty(plan)
    names = {recipe.model.preset for recipe in plan.recipes.values()}
    rows += [f"{name}: {presets.MODELS[name].note}" for name in sorted(n for n in names if n in presets.MODELS)]
    return [line for row in rows for line in wrap_lines(row, width, indent="    ")]


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


def data_rows() -> list[tuple[str, str]]:
    """Return the data presets to choose from, with their facts."""
    rows: list[tuple[str, str]] = []
    for name, facts in presets.DATA.items():
        shape = "x".join(map(str, facts.shape))
        rows.append(
            (name, f"{name:12} {facts.train_size:>7,} train {facts.test_size:>7,} test  {shape:9} {facts.note}")
        )
    return rows + [(name, f"{name:12} {facts.note}") for name, facts in presets.LANGUAGE.items()]


def model_rows() -> list[tuple[str, str]]:
    """Return the model presets to choose from, with their facts."""
    models = presets.MODELS | presets.LANGUAGE_MODELS
    return [(name, f"{name:16} {facts.parameters:>12,}  {facts.note}") for name, facts in models.items()]
