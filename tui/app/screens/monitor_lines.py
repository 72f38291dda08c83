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
from tui.app.look import arm_style
from tui.app.widgets.lines import Line
from tui.commands.listing import find_obstacles
from tui.text.format import UNICODE, fit_name, format_number, shorten_apart
from tui.text.series import has_spread

GLYPHS = {
    "done": UNICODE.done, "running": UNICODE.running, "failed": UNICODE.failed, "queued": UNICODE.queued,
    "lost": UNICODE.lost, "stale": UNICODE.lost, "cancelled": UNICODE.queued,
}  # fmt: skip
FIGURE_WIDTH = 9
"""Columns of one measure."""

COUNTS_WIDTH = 12
"""Columns of an arm's mark, runs and glyph."""

DIVERGED_WIDTH = 5
"""Columns behind the measures, for how many replicas diverged."""

NAME_WIDTHS = (12, 30)
"""Columns that an arm's name gets at least and at most."""


def name_arms(picture: Picture, width: int) -> list[str]:
    """Return the arms' names in at most `width` columns, cut so that no two different ones look alike."""
    names = [printable(arm.name) for arm in picture.snapshot.arms]
    return shorten_apart([fit_name(name, len(name)) for name in names], width)


def arm_lines(picture: Picture, *, hidden: Collection[str], width: int, theme: str) -> list[Line]:
    """Make a line per arm with its measures so far; measures for which there is no room are left out.

    Args:
        picture: The study as it was last read.
        hidden: Arms that the plot leaves out.
        width: Columns of a line.
        theme: Whose colours the arms have.
    """
    least, most = NAME_WIDTHS
    columns = list_columns("monitor", text=any(arm.text for arm in picture.metrics.values()))
    columns = columns[: max(1, (width - least - COUNTS_WIDTH) // FIGURE_WIDTH)]
    room = max(least, min(most, width - COUNTS_WIDTH - DIVERGED_WIDTH - FIGURE_WIDTH * len(columns)))
    head = f"{'arm':{room}} {'runs':>9}  " + " ".join(f"{column.short:>8}" for column in columns)
    lines = [Line(Text(head, style="dim"))]
    names = name_arms(picture, room)
    for number, arm in enumerate(picture.snapshot.arms):
        row = Text(no_wrap=True)
        mark = " " if arm.name not in hidden else "·"
        row.append(f"{names[number]:{room}}", arm_style(number, theme, strong=True))
        row.append(f"{mark}{arm.counts.get('done', 0):>4}/{len(arm.runs):<4} {arm_glyph(arm)}")
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
    row = "".join(f" {cell:>8}" for cell in cells)
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


def run_lines(picture: Picture, gpus: Sequence[str], *, room: int, theme: str) -> list[Line]:
    """Make the lines of a glyph per run, then of what is training, obstacles and GPUs.

    Args:
        picture: The study as it was last read.
        gpus: A line each.
        room: Glyphs in a line.
        theme: Whose colours the arms have.
    """
    lines: list[Line] = []
    heads, names = name_arms(picture, 7), name_arms(picture, 18)
    for number, arm in enumerate(picture.snapshot.arms):
        glyphs = "".join(UNICODE.diverged if run.state.diverged else GLYPHS[run.state.status] for run in arm.runs)
        rows = [glyphs[i : i + room] for i in range(0, len(glyphs), room)] or [""]
        for place, part in enumerate(rows):
            name = heads[number] if place == 0 else ""
            row = Text.assemble((f"{name:8}", arm_style(number, theme)), part)
            lines.append(Line(row, arm.name if place == 0 else None))
    training = [
        (run, name)
        for arm, name in zip(picture.snapshot.arms, names, strict=True)
        for run in arm.runs
        if run.state.status == "running"
    ]
    seen: set[str] = set()
    for run, arm_name in training:
        if run.id not in seen:
            seen.add(run.id)
            at = f"epoch {run.trained}/{run.planned_epochs}"
            lines.append(Line(Text(f"{UNICODE.running} {arm_name:18} {at}")))
    lines += [Line(Text(line)) for line in find_obstacles(picture.snapshot)]
    lines += [Line(Text(line)) for line in gpus]
    return lines


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
