"""A running study as lines of text and as a rich renderable: pure functions of a snapshot."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.protocol.faults import printable
from engine.study.beats import LOST_S
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, is_stopped
from engine.study.run_state import STALE_AFTER_S, WITHOUT_RESULT
from engine.study.selftest_record import REFUSED
from engine.study.snapshot import ArmView, Spread, StudySnapshot
from engine.study.view import describe_silence
from tui.text.counts import plural
from tui.text.decisions import describe_comparison
from tui.text.format import UNICODE, Symbols, describe_state, format_seconds, shorten
from tui.text.parting import describe_broken_control
from tui.text.places import count_training, list_waits
from tui.text.tables import choose_head

BAR_WIDTH = 18
NARROW_BAR_WIDTH = 8
UNASKED_S = 15.0
"""Silence of a process that cannot be asked, from which on it is mentioned: live ones beat more often."""


def count_done(arm: ArmView) -> int:
    """Count the replicas of an arm that have their result."""
    return arm.counts.get("done", 0)


def count_lost(arm: ArmView) -> int:
    """Count the replicas of an arm that ended without a result."""
    return sum(arm.counts.get(status, 0) for status in WITHOUT_RESULT)


def format_spread(arm: ArmView, symbols: Symbols = UNICODE, *, tight: bool = False) -> str:
    """Describe an arm's figures at the last epoch that two of its replicas reached.

    One replica has no SD, and neither have replicas that all diverged: that they fail alike is not agreement.

    Args:
        arm: Any.
        symbols: What can be shown.
        tight: Take fewer columns.
    """
    spread = arm.spread
    if spread is None:
        return f"{arm.diverged} diverged" if arm.diverged else symbols.missing
    slash, gap = ("/", " ") if tight else (" / ", "  ")
    low, middle, high = (f"{value:.2f}" for value in (spread.minimum, spread.mean, spread.maximum))
    parts = [f"{'ep' if tight else 'epoch'} {spread.epoch}", _format_n(spread)]
    parts.append(middle if spread.n == 1 else slash.join((low, middle, high)))
    parts += [f"SD {spread.sd:.2f}"] if spread.n > max(1, spread.diverged) else []
    parts += [f"{arm.diverged} diverged"] if arm.diverged > spread.diverged else []
    return gap.join(parts)


def _format_n(spread: Spread) -> str:
    """Return how many replicas the figures describe, and how many of them diverged."""
    if not spread.diverged:
        return f"n={spread.n}"
    return f"n={spread.n} diverged" if spread.diverged == spread.n else f"n={spread.n} ({spread.diverged} diverged)"


def format_bar(arm: ArmView, symbols: Symbols = UNICODE, width: int = BAR_WIDTH) -> str:
    """Return a bar whose filled part is the share of an arm's epochs that are trained."""
    planned = sum(run.planned_epochs for run in arm.runs)
    trained = sum(run.planned_epochs if run.state.status == "done" else run.trained for run in arm.runs)
    filled = width * min(trained, planned) // max(1, planned)
    return symbols.bar * filled + symbols.bar_rest * (width - filled)


def format_counts(arm: ArmView, symbols: Symbols = UNICODE) -> str:
    """Return the number of finished replicas of all, then those that run, failed or diverged, where there are any."""
    done, total = count_done(arm), len(arm.runs)
    parts = [f"{symbols.done if done == total else ''}{done}/{total}"]
    running, lost = arm.counts.get("running", 0), count_lost(arm)
    parts += [f"{symbols.running}{running}"] if running else []
    parts += [f"{symbols.failed}{lost}"] if lost else []
    parts += [f"{symbols.diverged}{arm.diverged}"] if arm.diverged else []
    return " ".join(parts)


def format_summary(snapshot: StudySnapshot, symbols: Symbols = UNICODE, *, named: bool = True) -> str:
    """Return one line on a study: name, state, runs, and the slots and the time that is left where these are known.

    Args:
        snapshot: The study.
        symbols: What can be shown.
        named: Begin with its name.
    """
    done, total = snapshot.counts.get("done", 0), len(snapshot.runs)
    state = describe_state(snapshot.state, snapshot.counts.get("failed", 0), symbols)
    parts = [printable(snapshot.study)] if named else []
    parts += [state, f"{done} of {plural(total, 'run')}"]
    if snapshot.supervised and snapshot.slots:
        parts.append(count_training(snapshot.slots))
    if done < total and snapshot.supervised and snapshot.seconds_left:
        parts.append(f"about {format_seconds(snapshot.seconds_left, symbols)} left")
    return "  ".join(parts)


def find_obstacles(snapshot: StudySnapshot) -> list[str]:
    """Return a line for each thing that does not get on: the supervisor, a slot, a run, the measuring."""
    supervisor = snapshot.supervision.obstacle
    note = None if snapshot.supervisor is None or not snapshot.supervised else snapshot.supervisor.note
    lines = [printable(text) for text in (supervisor, note) if text]
    lines += list_waits(snapshot.slots)
    told = (describe_broken_control(arm.name, snapshot.study, arm.partings) for arm in snapshot.arms)
    lines += [line for line in told if line is not None]
    return lines + describe_silent_runs(snapshot)


def describe_silent_runs(snapshot: StudySnapshot) -> list[str]:
    """Return a line for each process whose runs give no sign, with what is going to happen."""
    lines: dict[Owner | None, str] = {}
    for run in snapshot.runs.values():
        state = run.state
        if state.status != "running" or state.silence is None or state.owner in lines:
            continue
        owner = state.owner
        named = "an unknown process" if owner is None else f"process {owner.pid} on {owner.host}"
        if not state.asked:
            limit_s = STALE_AFTER_S if state.silence.beat is None else LOST_S
            if state.silence.dead_s >= UNASKED_S:
                lines[owner] = (
                    f"run {run.id}: its owner cannot be asked ({named}): no sign for {state.silence.dead_s:.0f} s, "
                    f"taken for lost after {limit_s:.0f} s"
                )
        elif state.silence.worth_telling:
            halted = f"; {named} is halted by a signal" if owner is not None and is_stopped(owner) else ""
            lines[owner] = f"run {run.id}: {describe_silence(run)}{halted}"
    return [printable(line) for line in lines.values()]


def render(
    snapshot: StudySnapshot, warnings: list[str], symbols: Symbols = UNICODE, *, width: int = 120
) -> RenderableType:
    """Render the progress of a study: a line about it, one for each arm, then obstacles and warnings."""
    wide = width >= 100
    # rich marks a cut with a character that not every stream can show.
    cut = "ellipsis" if symbols is UNICODE else "crop"
    table = Table.grid(padding=(0, 1))
    for _ in range(4):
        table.add_column(no_wrap=True, overflow=cut)
    for arm in snapshot.arms:
        name = shorten(printable(arm.name), 26 if wide else 16, symbols)
        bar = format_bar(arm, symbols, BAR_WIDTH if wide else NARROW_BAR_WIDTH)
        spread = format_spread(arm, symbols, tight=not wide)
        table.add_row(*map(Text, (name, bar, format_counts(arm, symbols), spread)))
    head = Text(format_summary(snapshot, symbols), style="bold", no_wrap=True, overflow=cut)
    measure = next((arm.spread.measure for arm in snapshot.arms if arm.spread), "accuracy %")
    explained = f"; {symbols.diverged} diverged: loss or predictions not finite" if snapshot.diverged else ""
    key = Text(f"{measure}: min / mean / max over replicas{explained}", style="dim", no_wrap=True, overflow=cut)
    compared = describe_comparison(snapshot, symbols)
    notes = [Text(line) for line in compared + find_obstacles(snapshot) + warnings]
    return Group(head, table, key, *notes)


def describe_line(snapshot: StudySnapshot, symbols: Symbols = UNICODE) -> str:
    """Return plain lines about a study and each of its arms, for an output that is no terminal."""
    arms = (describe_arm(arm, symbols) for arm in snapshot.arms)
    compared = (f"  {line}" for line in describe_comparison(snapshot, symbols))
    return "\n".join([format_summary(snapshot, symbols), *arms, *compared])


def describe_plainly(snapshot: StudySnapshot, symbols: Symbols = UNICODE) -> str:
    """Return plain lines about a study, its arms, and what does not get on, for an output that is no terminal."""
    return "\n".join([describe_line(snapshot, symbols), *(f"  {line}" for line in find_obstacles(snapshot))])


def describe_arm(arm: ArmView, symbols: Symbols = UNICODE) -> str:
    """Return one line on an arm: its name, its counts and its spread."""
    name = shorten(printable(arm.name), 26, symbols)
    return f"  {name:26} {format_counts(arm, symbols):14} {format_spread(arm, symbols)}"


ROOM_FOR_TABLE = 64
"""Columns from which on figures of arms stand in a table."""

FIGURE_TITLES = ("arm", "replicas", "epoch", "n", "least", "mean", "most", "SD")


def draw_arms(snapshot: StudySnapshot, symbols: Symbols = UNICODE, *, width: int) -> RenderableType:
    """Draw a table of the arms: replicas, and their figures at the last epoch that two reached; a list where narrow."""
    measure = next((arm.spread.measure for arm in snapshot.arms if arm.spread), "accuracy %")
    note = f"{measure}: least, mean, most and SD (with R) of the n replicas that are at this epoch or beyond"
    explained = f"; {symbols.diverged} diverged: loss or predictions not finite" if snapshot.diverged else ""
    rows = [_list_figures(arm, symbols) for arm in snapshot.arms]
    if width < ROOM_FOR_TABLE:
        lines = [line for row in rows for line in (row[0], *_name_figures(row))]
        return Group(*map(Text, (*lines, note + explained)))
    table = Table(box=choose_head(symbols), show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in FIGURE_TITLES:
        left = title in ("arm", "replicas")
        table.add_column(title, justify="left" if left else "right", no_wrap=title != "arm", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return Group(table, Text(note + explained, style="dim"))


def _list_figures(arm: ArmView, symbols: Symbols) -> list[str]:
    """Return an arm's cells; figures that it has not are missing."""
    head, spread = [printable(arm.name), format_counts(arm, symbols)], arm.spread
    if spread is None:
        return [*head, *[symbols.missing] * (len(FIGURE_TITLES) - len(head))]
    figures = [f"{end:.2f}" for end in (spread.minimum, spread.mean, spread.maximum)]
    deviation = f"{spread.sd:.2f}" if spread.n > max(1, spread.diverged) else symbols.missing
    return [*head, str(spread.epoch), str(spread.n), *figures, deviation]


def _name_figures(row: list[str]) -> list[str]:
    """Return an arm's cells as lines below its name."""
    named = [f"{title} {cell}" for title, cell in zip(FIGURE_TITLES[1:], row[1:], strict=True)]
    return [f"  {', '.join(named[:3])}", f"  {', '.join(named[3:])}"]


def list_failures(snapshot: StudySnapshot, paths: StudyPaths) -> dict[str, str]:
    """Return run id → what happened and where the log is, for every run that ended without a result."""
    failures: dict[str, str] = {}
    named = [(printable(arm.name), n, run) for arm in snapshot.arms for n, run in enumerate(arm.runs, start=1)]
    known = {run.id for _, _, run in named}
    named += [("self-test", 1, run) for run in snapshot.runs.values() if run.id not in known]
    refused = False
    for name, replica, run in named:
        reason = printable(run.state.reason or "no reason recorded")
        if run.state.status not in WITHOUT_RESULT or run.id in failures:
            continue
        if reason.startswith(REFUSED) and refused:  # one reason for all of them
            continue
        refused = refused or reason.startswith(REFUSED)
        log = paths.run(run.id).attempt(run.state.attempts).log if run.state.attempts else "no attempt"
        head = f"{name}, replica {replica}: {run.state.status}"
        failures[run.id] = f"{head}: {reason} (attempt {run.state.attempts}; {log})"
    return failures
