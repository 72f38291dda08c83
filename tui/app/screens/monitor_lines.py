"""Renders the lists of the monitor as lines: pure functions of what was read of a study."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from rich.text import Text

from engine.catalog.measure_declaration import Measure
from engine.protocol.faults import printable
from engine.study.estimate import NOTHING, Estimate
from engine.study.metrics_record import ArmMeasures
from engine.study.snapshot import ArmView
from tui.app.follow import Picture, Training
from tui.app.machine import Gauge
from tui.app.schemes import arm_style
from tui.app.widgets.lines import Line, wrap_lines
from tui.commands.progress import count_lost, find_obstacles, format_bar
from tui.text.counts import plural
from tui.text.explanations import name_measure, style_key
from tui.text.few_measures import add_unit, pick_measures
from tui.text.figure_names import name_figure
from tui.text.format import UNICODE, Symbols, fit_name, format_number, mark_arm, shorten, shorten_apart
from tui.text.places import are_jobs, list_places
from tui.text.series import has_spread
from tui.text.sparks import draw_spark
from tui.text.whiskers import draw_interval, fit_axis

FIGURE_WIDTH = 8
"""Columns of a figure."""

WHISKER_WIDTHS = (7, 25)
"""Columns of an interval at least and at most."""

ROOMY_WIDTH = 15
"""Columns of an interval beyond which other measures come first."""

EXTRA_WIDTH = 13
"""Columns of a measure that has no picture."""

MARK_WIDTH = 2
"""Columns of an arm's mark and the blank behind it."""

NAME_WIDTH = 14
"""Columns that an arm's name gets at least."""

BAR_WIDTHS = (12, 6, 0)
"""Columns of a bar of progress, from where there is room to where there is none."""

HEAD_WIDTH = 9
"""The same before the marks of its runs."""

LEAST_SPARK, SPARK_WIDTH = 6, 12
"""Columns of a row of bars, beside which names give way, and those that it has at most."""


def name_arms(picture: Picture, width: int, symbols: Symbols) -> list[str]:
    """Return the arms' marks and names in at most `width` columns, cut so that no two different ones look alike."""
    names = [printable(arm.name) for arm in picture.snapshot.arms]
    names = shorten_apart([fit_name(name, len(name)) for name in names], width - MARK_WIDTH, symbols)
    return [f"{mark_arm(number, symbols)} {name}" for number, name in enumerate(names)]


def longest_name(picture: Picture) -> int:
    """Return the columns of the longest of what `name_arms` returns where nothing is cut."""
    return MARK_WIDTH + max((len(printable(arm.name)) for arm in picture.snapshot.arms), default=0)


def run_glyph(status: str, symbols: Symbols) -> str:
    """Return the state of a run as one character; "diverged" is one, too."""
    glyphs = {
        "done": symbols.done, "running": symbols.running, "failed": symbols.failed, "diverged": symbols.diverged,
    }  # fmt: skip
    return glyphs.get(status, symbols.lost if status in ("lost", "stale") else symbols.queued)


def describe_counts(arm: ArmView, symbols: Symbols) -> str:
    """Return how many replicas of all are done, then those that failed and diverged, where there are any."""
    done, lost = arm.counts.get("done", 0), count_lost(arm)
    parts = [f"{done}/{len(arm.runs)}{symbols.done if done == len(arm.runs) and not arm.diverged else ''}"]
    parts += [f"{symbols.failed}{lost}"] if lost else []
    parts += [f"{symbols.diverged}{arm.diverged}"] if arm.diverged else []
    return " ".join(parts)


def arm_lines(
    picture: Picture, *, hidden: Collection[str], width: int, theme: str, symbols: Symbols = UNICODE
) -> list[Line]:
    """Make a line per arm: name, progress, SD and disagreement with their intervals on an axis for all arms.

    Args:
        picture: The study as it was last read.
        hidden: Arms that the plot leaves out.
        width: Columns of a line.
        theme: Whose colours the arms have.
        symbols: What can be shown.
    """
    arms = picture.snapshot.arms
    found = [picture.metrics.get(arm.name) for arm in arms]
    drawn, extra = pick_measures(list(picture.metrics.values()))
    counts = [describe_counts(arm, symbols) for arm in arms]
    wide = max((len(one) for one in ("runs", *counts)), default=0)
    room, bar, whisker = _share_room(longest_name(picture), wide, drawn=len(drawn), extra=len(extra), width=width)
    cell = FIGURE_WIDTH + whisker + 1
    left = room + 1 + bar + bool(bar) + wide + 1
    extra = extra[: max(0, (width - left - cell * len(drawn)) // EXTRA_WIDTH)]
    axes = [fit_axis(_find(one, measure) for one in found) for measure in drawn]
    head = Text(f"{'arm':{room}} ", "dim", no_wrap=True).append(f"{'runs':>{left - room - 2}}", style_key("runs"))
    for number, measure in enumerate((*drawn, *extra)):
        is_drawn = number < len(drawn)
        title = _head(measure, (cell - 1 if is_drawn else EXTRA_WIDTH) - 1)
        padded = f"{title:{cell}}" if is_drawn else f"{title:>{EXTRA_WIDTH}}"
        head.append("" if number else " ").append(padded, style_key(name_measure(measure)))
    head.rstrip()
    lines = [Line(head)]
    for number, (arm, name) in enumerate(zip(arms, name_arms(picture, room, symbols), strict=True)):
        style = arm_style(number, theme)
        row = Text(no_wrap=True).append(f"{name:{room}}", style)
        row.append(symbols.hidden if arm.name in hidden else " ")
        if bar:
            row.append(format_bar(arm, symbols, bar), style).append(" ")
        row.append(f"{counts[number]:>{wide}} ")
        measures = found[number]
        reason = explain_no_spread(arm, measures, picture)
        if reason is not None:
            row.append(shorten(reason, max(1, width - left), symbols), "dim")
        else:
            for measure, axis in zip(drawn, axes, strict=True):
                estimate = _find(measures, measure)
                row.append(f"{format_number(estimate.value, measure.digits, symbols):>{FIGURE_WIDTH - 1}} ")
                row.append(
                    "" if axis is None or not whisker else draw_interval(estimate, axis, whisker, symbols), style
                ).append(" ")
            for measure in extra:
                estimate = _find(measures, measure)
                row.append(f"{format_number(estimate.value, measure.digits, symbols):>{EXTRA_WIDTH}}")
        row.rstrip()
        lines.append(Line(row, arm.name))
    return lines


def _find(measures: ArmMeasures | None, measure: Measure) -> Estimate:
    """Return a measure of an arm; nothing where it was not measured yet."""
    return NOTHING if measures is None else measures.find(measure.key)


def _share_room(longest: int, counts: int, *, drawn: int, extra: int, width: int) -> tuple[int, int, int]:
    """Return the columns of names, of bars of progress and of intervals.

    Names give way last: first the bars become shorter, then the intervals. What is left beyond is for more measures.

    Args:
        longest: Columns of the longest name.
        counts: Columns of the numbers of runs.
        drawn: Measures with an interval.
        extra: Measures that are numbers alone.
        width: Columns in all.
    """
    least, most = WHISKER_WIDTHS
    lefts = {bar: width - (1 + bar + bool(bar) + counts + 1) - drawn * (FIGURE_WIDTH + 1) for bar in BAR_WIDTHS}
    needed = min(longest, 3 * NAME_WIDTH) + drawn * least
    bar, left = next(((bar, left) for bar, left in lefts.items() if left >= needed), (0, lefts[0]))
    room = max(NAME_WIDTH, min(longest, left - drawn * least))
    whisker = (left - room) // drawn
    roomy = (left - room - extra * EXTRA_WIDTH) // drawn
    return room, bar, 0 if whisker < least else min(most, max(roomy, min(whisker, ROOMY_WIDTH)))


def _head(measure: Measure, width: int) -> str:
    """Return the title of a measure with its unit, as long as there is room."""
    full, short = (add_unit(title, measure.unit) for title in (measure.title, measure.short))
    return next((head for head in (full, short) if len(head) <= width), shorten(measure.short, width))


def explain_no_spread(arm: ArmView, measures: ArmMeasures | None, picture: Picture) -> str | None:
    """Say why an arm has no spread to show; None where it has one.

    One replica has none, and neither have replicas that all diverged: that they fail alike is no agreement. An arm
    that was not measured yet has that of its epochs so far.
    """
    done = arm.counts.get("done", 0)
    if arm.diverged and arm.diverged == done:
        return f"{arm.diverged} diverged: no spread"
    if measures is not None and measures.n > 1:
        return None
    spread = arm.spread
    if spread is not None and spread.n > max(1, spread.diverged):
        return f"SD {spread.sd:.2g} of {spread.n} at epoch {spread.epoch}"
    if any(run.trained for run in arm.runs):
        return "one replica so far: no spread"
    lost = count_lost(arm)
    return f"{lost} failed: no spread" if lost else "waiting"


def now_lines(
    picture: Picture,
    gauges: Sequence[Gauge],
    *,
    width: int,
    theme: str,
    symbols: Symbols = UNICODE,
) -> list[Line]:
    """Make the lines of what is training, of what stands in the way, of the machine, then a mark per run.

    Where workers are jobs of a cluster, these are listed with their machines: how busy this one is says nothing.

    Args:
        picture: The study as it was last read.
        gauges: How busy the machine is; shown while the study runs.
        width: Columns of a line.
        theme: Whose colours the arms have.
        symbols: What can be shown.
    """
    lines = _list_training(picture, width, theme, symbols)
    for text in find_obstacles(picture.snapshot):
        lines += wrap_lines(text, width, indent="  ")
    slots = picture.snapshot.slots
    if picture.snapshot.supervised and are_jobs([slot.name for slot in slots]):
        for text in list_places([slot for slot in slots if slot.state != "waiting"]):
            lines += wrap_lines(text, width, indent="  ")
    elif picture.snapshot.supervised:
        texts = max((len(gauge.text) for gauge in gauges), default=0)
        lines += [_draw_gauge(gauge, width, texts, symbols) for gauge in gauges]
    return [*lines, *_mark_runs(picture, width, theme, symbols)]


SHORT_HEADS = {"perplexity": "PPL", "accuracy": "acc %"}
"""What is shown of a run that is being trained, the first that there is, with its head."""

LATEST_WIDTH = 6
"""Columns of that figure."""


def _list_training(picture: Picture, width: int, theme: str, symbols: Symbols) -> list[Line]:
    """Make a line per slot and arm that is being trained: how far its first replica is, and how accurate."""
    if not picture.training:
        return []
    measure = next((name for name in SHORT_HEADS if name in picture.measures), next(iter(picture.measures), "accuracy"))
    head = SHORT_HEADS.get(measure) or shorten(name_figure(measure), LATEST_WIDTH, symbols)
    whats = [_count_replicas(one) for one in picture.training]
    slot, what = (max(map(len, texts)) for texts in ([one.slot for one in picture.training], whats))
    epochs = [f"{one.first.trained}/{one.first.planned_epochs}" for one in picture.training]
    at = max(len("epoch"), *map(len, epochs))
    right = f"{'epoch':>{at}} {head:>{LATEST_WIDTH}}"
    left = width - slot - what - len(right) - 4
    room = max(MARK_WIDTH + 3, min(longest_name(picture), max(NAME_WIDTH, left - LEAST_SPARK - 1), left))
    spark = max(0, min(SPARK_WIDTH, left - room - 1))
    names = name_arms(picture, room, symbols)
    lines = [Line(Text(f"{'slot':{slot}} {'training':{room + what + 1}}  {right}", "dim", no_wrap=True))]
    for one, many, epoch in zip(picture.training, whats, epochs, strict=True):
        values = [value for value in one.curves.get(measure, ()) if value is not None]
        figure = symbols.missing if not values else f"{values[-1]:{'.2f' if measure in SHORT_HEADS else '.3g'}}"
        row = Text(f"{one.slot:{slot}} ", no_wrap=True).append(f"{names[one.arm]:{room}}", arm_style(one.arm, theme))
        row.append(f" {many:{what}}  {epoch:>{at}} {figure:>{LATEST_WIDTH}}")
        row.append(f" {draw_spark(values, spark, symbols)}" if spark else "", arm_style(one.arm, theme, strong=False))
        lines.append(Line(row))
    return lines


def _count_replicas(one: Training) -> str:
    return f"r{one.replicas[0]}" if len(one.replicas) == 1 else f"{len(one.replicas)} reps"


def _draw_gauge(gauge: Gauge, width: int, texts: int, symbols: Symbols) -> Line:
    """Draw one part of the machine: how busy it is in percent, what else there is to know, and its history.

    Args:
        gauge: What was read.
        width: Columns of a line.
        texts: Columns of the longest text of all parts: their histories begin in one column.
        symbols: What can be shown.
    """
    head = f"{gauge.name:6} {gauge.busy:>3.0f} %  {gauge.text:{texts}}"
    spark = min(SPARK_WIDTH, width - len(head) - 2)
    drawn = draw_spark(gauge.history, spark, symbols, low=0.0, high=100.0) if spark > 2 else ""
    return Line(Text(f"{head}  {drawn}".rstrip(), no_wrap=True))


def _mark_runs(picture: Picture, width: int, theme: str, symbols: Symbols) -> list[Line]:
    """Make the lines of a mark per run."""
    lines: list[Line] = []
    longest, most = longest_name(picture), max((len(arm.runs) for arm in picture.snapshot.arms), default=0)
    head = min(longest, max(HEAD_WIDTH, width // 3, width - most - len(" ")))
    room = max(1, width - head - len(" "))
    heads = name_arms(picture, head, symbols)
    for number, arm in enumerate(picture.snapshot.arms):
        states = ["diverged" if run.state.diverged else run.state.status for run in arm.runs]
        for first in range(0, max(1, len(states)), room):
            row = Text(f"{heads[number] if not first else '':{head}} ", no_wrap=True)
            row.stylize(arm_style(number, theme))
            for state, many in groupby(states[first : first + room]):
                row.append(run_glyph(state, symbols) * len(list(many)), style_key(f"run:{state}"))
            lines.append(Line(row, None if first else arm.name))
    return lines


def describe_epoch(picture: Picture, name: str, measure: str, epoch: int, symbols: Symbols = UNICODE) -> str:
    """Describe the replicas of an arm at one epoch: mean, SD, least and most, how many there are and diverged."""
    found = picture.series[name].at(measure, epoch)
    place = picture.find_arm(name)
    longest = 0 if place is None else max((run.planned_epochs for run in place[1].runs), default=0)
    if 0 < longest < epoch:
        return f"ends at epoch {longest}: {describe_epoch(picture, name, measure, longest, symbols)}"
    if found is None or place is None:
        return "no replica is there yet"
    ended = place[1].diverged_epochs.get(epoch, 0) if measure == "accuracy" else 0
    count = plural(found.n, "replica") + (f", {ended} diverged" if ended else "")
    if not has_spread(found, ended):
        return f"{found.mean:.2f} of {count}"
    return (
        f"mean {found.mean:.2f} {symbols.plus_minus}{found.sd:.2g} SD, least {found.low:.2f}, most {found.high:.2f}, "
        f"{count}"
    )


def describe_failed(number: int, arm: ArmView, symbols: Symbols = UNICODE) -> str | None:
    """Say how many runs of an arm failed, and why the first of them did; None where none failed."""
    failed = [run.state for run in arm.runs if run.state.status == "failed"]
    if not failed:
        return None
    reason = next((printable(state.reason) for state in failed if state.reason), "its log may say why")
    count = f"{len(failed)} of {plural(len(arm.runs), 'run')} failed"
    return f"{mark_arm(number, symbols)} {printable(arm.name)}: {count}: {reason}"
