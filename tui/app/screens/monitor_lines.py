"""Renders the tables below the monitor's plot as lines: pure functions of what was read of a study."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.text import Text

from engine.catalog.measure_declaration import Measure
from engine.catalog.measures import list_columns
from engine.protocol.faults import printable
from engine.study.metrics_record import NOTHING, ArmMeasures
from engine.study.series import Sum
from engine.study.view import ArmView, RunView
from tui.app.follow import Picture
from tui.app.schemes import arm_style
from tui.app.widgets.lines import Line
from tui.commands.listing import find_obstacles
from tui.text.format import UNICODE, Symbols, fit_name, format_number, mark_arm, shorten_apart
from tui.text.series import has_spread

GLYPHS = {
    "done": UNICODE.done, "running": UNICODE.running, "failed": UNICODE.failed, "queued": UNICODE.queued,
    "lost": UNICODE.lost, "stale": UNICODE.lost, "cancelled": UNICODE.queued,
}  # fmt: skip
FIGURE_WIDTH = 9
"""Columns of one measure."""

MARK_WIDTH = 2
"""Columns of an arm's mark and the blank behind it."""

NAME_WIDTH = 14
"""Columns that an arm's name gets at least."""

HEAD_WIDTH = 9
"""The same before the marks of its runs."""


def name_arms(picture: Picture, width: int, symbols: Symbols) -> list[str]:
    """Return the arms' marks and names in at most `width` columns, cut so that no two different ones look alike."""
    names = [printable(arm.name) for arm in picture.snapshot.arms]
    names = shorten_apart([fit_name(name, len(name)) for name in names], width - MARK_WIDTH)
    return [f"{mark_arm(number, symbols)} {name}" for number, name in enumerate(names)]


def longest_name(picture: Picture) -> int:
    """Return the columns of the longest of what `name_arms` returns where nothing is cut."""
    return MARK_WIDTH + max(len(printable(arm.name)) for arm in picture.snapshot.arms)


def arm_lines(
    picture: Picture, *, hidden: Collection[str], width: int, theme: str, symbols: Symbols = UNICODE
) -> list[Line]:
    """Make a line per arm with its measures so far; measures for which there is no room are left out.

    Args:
        picture: The study as it was last read.
        hidden: Arms that the plot leaves out.
        width: Columns of a line.
        theme: Whose colours the arms have.
        symbols: What can be shown.
    """
    arms = picture.snapshot.arms
    counts = [f"{arm.counts.get('done', 0)}/{len(arm.runs)}" for arm in arms]
    wide = max(map(len, ("runs", *counts)))
    diverged = max((len(f" {UNICODE.diverged}{arm.diverged}") for arm in arms if arm.diverged), default=0)
    taken = len(" ") + wide + len(" ✓") + diverged
    columns = list_columns("monitor", text=any(arm.text for arm in picture.metrics.values()))
    columns = columns[: max(1, (width - NAME_WIDTH - taken) // FIGURE_WIDTH)]
    room = min(longest_name(picture), max(NAME_WIDTH, width - taken - FIGURE_WIDTH * len(columns)))
    head = f"{'arm':{room}} {'runs':>{wide}}  " + "".join(f"{column.short:>{FIGURE_WIDTH}}" for column in columns)
    lines = [Line(Text(head, style="dim"))]
    names = name_arms(picture, room, symbols)
    for number, arm in enumerate(arms):
        row = Text(no_wrap=True)
        mark = " " if arm.name not in hidden else "·"
        row.append(f"{names[number]:{room}}", arm_style(number, theme, strong=True))
        row.append(f"{mark}{counts[number]:>{wide}} {arm_glyph(arm)}")
        row.append(_format_figures(arm, picture.metrics.get(arm.name), columns))
        lines.append(Line(row, arm.name))
    return lines


def _format_figures(arm: ArmView, measures: ArmMeasures | None, columns: Sequence[Measure]) -> str:
    """Format an arm's measures and how many replicas diverged.

    Where all did, that stands alone: failing alike is no agreement.
    """
    if arm.diverged and arm.diverged == arm.counts.get("done", 0):
        return f"  {arm.diverged} diverged"
    found = [NOTHING if measures is None else measures.find(column.key) for column in columns]
    cells = [format_number(one.value, column.digits) for one, column in zip(found, columns, strict=True)]
    row = "".join(f"{cell:>{FIGURE_WIDTH}}" for cell in cells)
    return f"{row} {UNICODE.diverged}{arm.diverged}" if arm.diverged else row


def describe_figures(found: Sum, ended: int) -> str:
    """Describe the replicas of an arm at one epoch.

    Args:
        found: Their figures.
        ended: How many of these come from replicas that diverged in this epoch.
    """
    note = f" ({ended} diverged)" if ended else ""
    if not has_spread(found, ended):
        return f"{found.mean:.2f} n={found.n}{note}"
    return f"{found.mean:.2f} ±{found.sd:.2g} [{found.low:.2f}–{found.high:.2f}] n={found.n}{note}"


def run_lines(
    picture: Picture, gpus: Sequence[str], *, width: int, theme: str, symbols: Symbols = UNICODE
) -> list[Line]:
    """Make the lines of a glyph per run, then of what is training, obstacles and GPUs.

    Args:
        picture: The study as it was last read.
        gpus: A line each.
        width: Columns of a line.
        theme: Whose colours the arms have.
        symbols: What can be shown.
    """
    lines: list[Line] = []
    longest, most = longest_name(picture), max(len(arm.runs) for arm in picture.snapshot.arms)
    head = min(longest, max(HEAD_WIDTH, width // 3, width - most - len(" ")))
    room = max(1, width - head - len(" "))
    heads = name_arms(picture, head, symbols)
    for number, arm in enumerate(picture.snapshot.arms):
        glyphs = "".join(UNICODE.diverged if run.state.diverged else GLYPHS[run.state.status] for run in arm.runs)
        rows = [glyphs[i : i + room] for i in range(0, len(glyphs), room)] or [""]
        for place, part in enumerate(rows):
            name = heads[number] if place == 0 else ""
            row = Text.assemble((f"{name:{head}} ", arm_style(number, theme)), part)
            lines.append(Line(row, arm.name if place == 0 else None))
    lines += _list_training(picture, width, symbols)
    lines += [Line(Text(line)) for line in find_obstacles(picture.snapshot)]
    lines += [Line(Text(line)) for line in gpus]
    return lines


def _list_training(picture: Picture, width: int, symbols: Symbols) -> list[Line]:
    """Make a line per run that is being trained, below the name of the first of its arms."""
    training: dict[str, tuple[int, RunView]] = {}
    for number, arm in enumerate(picture.snapshot.arms):
        for run in arm.runs:
            if run.state.status == "running":
                training.setdefault(run.id, (number, run))
    at = [f"epoch {run.trained}/{run.planned_epochs}" for _, run in training.values()]
    room = min(longest_name(picture), max(1, width - len("●  ") - max(map(len, at), default=0)))
    names = name_arms(picture, room, symbols)
    return [
        Line(Text(f"{UNICODE.running} {names[number]:{room}} {where}"))
        for (number, _), where in zip(training.values(), at, strict=True)
    ]


def arm_glyph(arm: ArmView) -> str:
    """Return an arm's state as one character."""
    if any(arm.counts.get(status) for status in ("failed", "lost", "stale")):
        return UNICODE.failed
    if arm.diverged:
        return UNICODE.diverged
    if arm.counts.get("done", 0) == len(arm.runs):
        return UNICODE.done
    return UNICODE.running if arm.counts.get("running") else UNICODE.queued


def describe_run(number: int, run: RunView) -> str:
    """Describe a run in one line."""
    result = run.state.result
    accuracy = run.latest.test_accuracy if run.latest else None if result is None else result.test_accuracy
    finished = run.diverged_epoch or run.planned_epochs
    done = finished if run.state.status == "done" else run.trained
    reason = f"   {printable(run.state.reason)}" if run.state.reason else ""
    diverged = f"  {UNICODE.diverged} diverged" if run.state.diverged else ""
    glyph = GLYPHS[run.state.status]
    at = f"{done:>4}/{run.planned_epochs}"
    return f"{number:>4}  {glyph} {run.state.status:9} {at:>9}  {format_number(accuracy, 2):>7}{diverged}{reason}"
