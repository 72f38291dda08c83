"""Renders the builder's arms and settings as lines: pure functions of the document and its judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.fuzzy import Matcher

from engine.catalog.arm_marks import find_mark
from engine.catalog.sources import SOURCES, Circumstances
from engine.plan.plan import Plan
from engine.plan.records import PlannedArm
from engine.protocol.faults import Fault, printable
from engine.recipe import DeviceType
from tui.app.document import Document
from tui.app.estimate import Estimate
from tui.app.schemes import arm_style
from tui.app.screens.judgement import Judgement
from tui.app.setting_groups import COMMAND_KEYS, GROUPS, REQUIRED, TEXT_KEYS, TRAINING_KEYS, shorten_key
from tui.app.setting_values import default_of, format_value, meaning_of
from tui.app.themes import THEMES
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.explanations import style_key
from tui.text.format import UNICODE, format_seconds, shorten, shorten_apart

ON, OFF, EMPTY = "■", "·", "–"

BOLD = Style(bold=True)
REVERSE = Style(bold=True, reverse=True)

CELL, SETTING = "cell", "setting"
"""Begin the keys by which the sources of an arm, and settings, are explained."""
FAULT = "bold red"

RUNS_WIDTH, BAR_WIDTH, TIME_WIDTH = 6, 8, 12
"""Columns of an arm's number of runs, of its time as a bar, and of its time in words."""
NARROW_CELL = 4
"""Columns of a mark and its frame, where little room is left."""
LEAST_NAME, MOST_NAME = 12, 48
"""Columns that an arm's name keeps at least, and takes at most."""
MOST_VALUE = 16
"""Columns of a setting's value, where what it does is said beside it."""
LEAST_VALUE = 20
"""Columns from which on a long value goes on below itself."""

MORE = "more settings"
"""The key of the line that shows or hides what is at its default."""

Emptiness = Mapping[str, Mapping[str, str]]
"""Arm → source → why it changes nothing there."""


WARNINGS = {theme.name: theme.warning for theme in THEMES}

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Cell:
    """Names a place in the matrix of arms and sources."""

    arm: int | None
    """Number of the arm from 0."""
    source: int
    """Number of the source from 0."""


def warning_style(theme: str) -> Style:
    """Return the colour of what is to be noticed and is no fault."""
    return Style(color=WARNINGS.get(theme) or "yellow", bold=True)


def find_empty(judgement: Judgement) -> dict[str, dict[str, str]]:
    """Return the sources that would change nothing in each arm, whether they vary there or not."""
    protocol, plan = judgement.protocol, judgement.plan
    device: DeviceType = "cuda" if plan is None else plan.device  # where every source may act
    found: dict[str, dict[str, str]] = {}
    for arm in protocol.arms if protocol is not None else ():
        now = Circumstances(data=arm.data, model=arm.model, train=arm.train, device=device)
        reasons = {name: source.why_empty(now) for name, source in SOURCES.items()}
        found[arm.name] = {name: reason for name, reason in reasons.items() if reason is not None}
    return found


def find_planned(name: str, plan: Plan | None) -> list[PlannedArm]:
    """Return what the plan makes of an arm as it is written: several arms where it lists onsets."""
    arms = plan.arms if plan is not None else ()
    return [
        arm for arm in arms if arm.name == name or (arm.onset is not None and arm.name.startswith(f"{name}, onset "))
    ]


def list_sources(arm: Mapping[str, object]) -> list[str]:
    """Return the sources that vary in an arm as it is written."""
    for key in ("vary", "crossed"):
        value = arm.get(key)
        if isinstance(value, list | dict) and value:
            return [str(name) for name in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return []


# Arms --------------------------------------------------------------------------------------------------------------


def arm_lines(
    document: Document,
    plan: Plan | None,
    faults: Sequence[Fault],
    *,
    empty: Emptiness,
    cell: Cell,
    estimate: Estimate | None,
    width: int,
    theme: str,
) -> list[Line]:
    """Make a line per arm: its name, a mark per source, its runs and their time, and what else is said of it.

    Args:
        document: The protocol as it is being written.
        plan: What comes of it, where it is valid.
        faults: What is wrong with it.
        empty: The sources that change nothing.
        cell: The place of the cursor.
        estimate: How long the runs take, where that is known.
        width: Columns of a line.
        theme: The framework's name of the theme.
    """
    names = [printable(str(arm.get("name", "?"))) for arm in document.arms]
    layout = lay_out_arms(names, width, timed=estimate is not None)
    head = Text(f"  {'arm':{layout.name}}", style="dim", no_wrap=True)
    for number, ((name, source), room) in enumerate(zip(SOURCES.items(), layout.cells, strict=True)):
        short, about = source.short[: room - 1], style_key(f"source:{name}")
        head.append(" ").append(f"{short:^{room - 1}}", about + REVERSE if number == cell.source else about)
    head.append(f"{'runs':>{RUNS_WIDTH}}").append("  time" if layout.bar or layout.time else "")
    lines = [Line(head)]
    shown = shorten_apart(names, layout.name)
    faulty = {fault.key.partition("]")[0] for fault in faults if fault.key.startswith("arm[")}
    seconds = [sum(_read_seconds(name, plan, estimate)) for name in document.names]
    first = 0
    for number, arm in enumerate(document.arms):
        planned = find_planned(document.names[number], plan)
        row = Text(no_wrap=True)
        if f"arm[{number + 1}" in faulty:
            row.append(f"{UNICODE.failed} ", FAULT)
        else:
            row.append(f"{find_mark(first).char} ", arm_style(first, theme))
        row.append(f"{shown[number]:{layout.name}}")
        nothing, here = (
            _find_reasons(document.names[number], empty),
            Cell(number, cell.source if number == cell.arm else -1),
        )
        row.append_text(_draw_marks(list_sources(arm), nothing, here, layout, theme))
        row.append(_count_runs(planned, arm), "" if plan is not None else "dim")
        if layout.bar and estimate is not None:
            row.append("  ").append(_draw_share(seconds[number], max(seconds), layout.bar), arm_style(first, theme))
        if layout.time and estimate is not None:
            row.append(f"  {format_seconds(seconds[number]) if seconds[number] else '':{TIME_WIDTH - 2}}", "dim")
        notes = describe_own(arm)
        if notes and layout.notes:
            row.append("  " + printable(shorten(notes, layout.notes - 2)), "dim")
        lines.append(Line(row, str(number)))
        first += max(1, len(planned))
    if not document.arms:
        lines.append(Line(Text("  no arm yet: a adds one", style="dim")))
    return lines


def _draw_marks(vary: Sequence[str], nothing: Mapping[str, str], here: Cell, layout: ArmLayout, theme: str) -> Text:
    """Draw a mark per source: whether it varies, holds, or would change nothing; brackets are the cursor."""
    row = Text()
    for place, (source, room) in enumerate(zip(SOURCES, layout.cells, strict=True)):
        mark = EMPTY if source in nothing else ON if source in vary else OFF
        style = Style(bold=True) if mark == ON or place == here.source else Style(dim=True)
        if mark == EMPTY and source in vary:
            style = warning_style(theme)
        style += style_key(f"{CELL}:{here.arm}:{source}")
        row.append(" ").append(f"{f'[{mark}]' if place == here.source else mark:^{room - 1}}", style)
    return row


@dataclass(frozen=True)
class ArmLayout:
    """Holds the columns of the parts of an arm's line."""

    name: int
    cells: tuple[int, ...]
    """For each source, the space before it counted."""
    bar: int
    time: int
    notes: int


def lay_out_arms(names: Sequence[str], width: int, *, timed: bool) -> ArmLayout:
    """Share the columns out: what gives way first is what is said of an arm's own settings, last its name.

    Args:
        names: The names of the arms.
        width: Columns of a line.
        timed: Whether there is a time to show.
    """
    tight, loose = (tuple(len(source.short) + space for source in SOURCES.values()) for space in (1, 2))
    narrow = (NARROW_CELL,) * len(SOURCES)
    wanted = min(MOST_NAME, max([LEAST_NAME, *map(cell_len, names)]))
    room = width - 2 - wanted - RUNS_WIDTH
    bar = BAR_WIDTH if timed and room >= sum(tight) + BAR_WIDTH + 2 else 0
    room -= bar + 2 if bar else 0
    cells = next((cells for cells in (loose, tight) if room >= sum(cells)), narrow)
    name = max(LEAST_NAME, min(wanted, wanted + room - sum(cells)))
    room -= sum(cells)
    time = TIME_WIDTH if timed and room >= TIME_WIDTH else 0
    notes = max(0, room - time)
    return ArmLayout(name, cells, bar, time, notes if notes >= LEAST_NAME else 0)


def find_cell(names: Sequence[str], width: int, x: int, *, timed: bool) -> int | None:
    """Return the source whose mark stands in a column of an arm's line; None where none does."""
    layout = lay_out_arms(names, width, timed=timed)
    left = 2 + layout.name
    for number, room in enumerate(layout.cells):
        if left <= x < left + room:
            return number
        left += room
    return None


def describe_own(arm: Mapping[str, object]) -> str:
    """Say in one line what an arm says for itself beside its name and its marks: sources of its own have none."""
    own = [source for source in list_sources(arm) if source not in SOURCES]
    notes = [f"varies {' and '.join(own)}"] if own else []
    for key, value in arm.items():
        if key in ("name", "vary"):
            continue
        if isinstance(value, dict) and key not in ("crossed", "ensemble"):
            notes += [f"{name} {format_value(one)}" for name, one in value.items()]  # pyright: ignore[reportUnknownVariableType]
        else:
            notes.append(f"{key} {format_value(value)}")
    return ", ".join(notes)


def _find_reasons(name: str, empty: Emptiness) -> Mapping[str, str]:
    known = (reasons for arm, reasons in empty.items() if arm == name or arm.startswith(f"{name}, onset "))
    return next(known, NOTHING)


def _read_seconds(name: str, plan: Plan | None, estimate: Estimate | None) -> list[float]:
    return [estimate.by_arm.get(arm.name, 0.0) for arm in find_planned(name, plan)] if estimate is not None else []


def _count_runs(planned: Sequence[PlannedArm], arm: Mapping[str, object]) -> str:
    if "ensemble" in arm:
        return f"{UNICODE.missing:>{RUNS_WIDTH}}"
    return f"{sum(len(one.runs) for one in planned) if planned else UNICODE.missing:>{RUNS_WIDTH}}"


def _draw_share(value: float, most: float, width: int) -> str:
    """Draw a time beside the longest one; what is not nothing can be seen."""
    length = 0 if most <= 0 or value <= 0 else max(1, round(width * value / most))
    return f"{UNICODE.bar * length:{width}}"


# Settings ----------------------------------------------------------------------------------------------------------


def setting_lines(
    document: Document, faults: Sequence[Fault], *, needle: str, everything: bool, width: int, height: int = 0
) -> list[Line]:
    """Make a line per setting, in groups: its value, dim where it is the default, a fault, or what it does.

    Args:
        document: The protocol as it is being written.
        faults: What is wrong with it.
        needle: What a setting must hold, or its letters in this order where none holds it; empty for all.
        everything: Whether settings at their default are listed that need not be set.
        width: Columns of a line.
        height: Rows at hand; long values go on in those that nothing else takes.
    """
    problems = {fault.key: fault for fault in faults}
    # Found out once: to look a key up in a parsed file takes longer than all else that is done for it here.
    said = document.list_settings() | problems.keys() | {key for key in REQUIRED if acts_on(document, key)}

    def is_said(key: str) -> bool:
        return key in said

    usable = [key for keys in GROUPS.values() for key in keys if is_said(key) or acts_on(document, key)]
    listed = find_settings(usable, needle) if needle else [key for key in usable if everything or is_said(key)]
    columns = max((len(shorten_key(key)) for key in listed), default=0) + 3
    lines: list[Line] = []
    for title, keys in GROUPS.items():
        rows = [
            Line(_show_setting(document, key, problems.get(key), columns, width), key) for key in keys if key in listed
        ]
        lines += [Line(Text(title, style="bold")), *rows] if rows else []
    hidden = sum(not is_said(key) for key in usable)
    if needle and not lines:
        lines.append(Line(Text(f"no setting holds the letters {printable(needle)} in this order", style="dim")))
    elif not needle and hidden:
        what = f"{hidden} settings at their defaults"
        lines.append(Line(Text(f"+ {'hide' if everything else 'show'} {what}", style="dim"), MORE))
    return _unfold(lines, document, problems, columns, width, spare=height - len(lines))


def _unfold(
    lines: list[Line], document: Document, problems: Mapping[str, Fault], columns: int, width: int, *, spare: int
) -> list[Line]:  # fmt: skip
    """Show long values whole, one after the other, as far as there are spare rows."""
    shown: list[Line] = []
    for line in lines:
        value = "" if line.key in (None, MORE) or line.key in problems else show_value(document, line.key)
        rest = wrap_lines(value, width - columns)[1:] if value and width - columns >= LEAST_VALUE else []
        if not 0 < len(rest) <= spare:
            shown.append(line)
            continue
        spare -= len(rest)
        first, *others = wrap_lines(value, width - columns)
        head = Text(line.text.plain[:columns], line.text.style, no_wrap=True)
        shown.append(Line(head.append(first.text.plain, "bold"), line.key))
        shown += [Line(Text(f"{'':{columns}}{other.text.plain}", BOLD, no_wrap=True)) for other in others]
    return shown


def find_settings(keys: Sequence[str], needle: str) -> list[str]:
    """Return the settings whose name or meaning holds a text; where none does, those that hold its letters in order."""
    said = {key: f"{key} {meaning_of(key)}" for key in keys}
    whole = [key for key, text in said.items() if needle.casefold() in text.casefold()]
    matcher = Matcher(needle)
    return whole or [key for key, text in said.items() if matcher.match(text) > 0]


def find_best(keys: Sequence[str], needle: str) -> str | None:
    """Return the setting in whose name some letters are found best, else in what it does; None without any."""
    matcher = Matcher(needle)

    def rate(key: str) -> float:
        return max(2 * matcher.match(shorten_key(key)), matcher.match(f"{key} {meaning_of(key)}"))

    return max(keys, key=rate, default=None)


def acts_on(document: Document, key: str) -> bool:
    """Tell whether a setting can change anything: those of text models act on text alone, a program's on programs."""
    if document.runs_command:
        return key not in TRAINING_KEYS
    return key not in COMMAND_KEYS and (key not in TEXT_KEYS or document.reads_text)


def show_value(document: Document, key: str) -> str:
    """Return a setting's value, or its default, as one printable line."""
    value = document.get(key)
    known = default_of(key) if value is None else value
    return printable(format_value(known) if known not in (None, {}, "", []) else UNICODE.missing)


def _show_setting(document: Document, key: str, fault: Fault | None, columns: int, width: int) -> Text:
    shown = show_value(document, key)
    row = Text(f"  {shorten_key(key):{columns - 2}}", style_key(f"{SETTING}:{key}"), no_wrap=True)
    if fault is not None:
        return row.append(f"{shown}  ", "bold").append(f"{UNICODE.failed} {printable(fault.problem)}", FAULT)
    room = max(1, width - columns)
    row.append(f"{shorten(shown, room):{MOST_VALUE}}", "dim" if document.get(key) is None else "bold")
    if cell_len(shown) <= MOST_VALUE and room > MOST_VALUE + LEAST_NAME:
        row.append(" " + shorten(meaning_of(key).removesuffix("."), room - MOST_VALUE - 1), "dim")
    return row
