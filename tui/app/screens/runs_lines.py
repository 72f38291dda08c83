"""Renders the runs of one arm as lines: pure functions of what was read of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from engine.protocol.faults import printable
from engine.study.run_records import Resumption
from engine.study.snapshot import RunView, StudySnapshot
from tui.app.run_facts import RunFacts
from tui.app.screens.monitor_lines import run_glyph
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.explanations import style_key
from tui.text.format import UNICODE, Symbols, format_number, format_seconds


def describe_run(number: int, run: RunView, symbols: Symbols = UNICODE) -> str:
    """Describe a run in one line: its number, state, epoch and accuracy."""
    glyph = run_glyph(_name_state(run), symbols)
    result = run.state.result
    accuracy = run.latest.test_accuracy if run.latest else None if result is None else result.test_accuracy
    at = f"{_count_epochs(run)}/{run.planned_epochs}"
    return f"{number:>4} {glyph} {_name_state(run):9} {at:>8} {format_number(accuracy, 2, symbols):>6}"


def _name_state(run: RunView) -> str:
    return "diverged" if run.state.diverged else run.state.status


def _count_epochs(run: RunView) -> int:
    if run.state.status != "done":
        return run.trained
    return run.diverged_epoch or run.planned_epochs


def _make_line(number: int, run: RunView, symbols: Symbols) -> Line:
    return Line(Text(describe_run(number, run, symbols), style_key(f"run:{_name_state(run)}")), run.id)


def run_lines(runs: Sequence[RunView], symbols: Symbols = UNICODE) -> list[Line]:
    """Make a line per run of an arm."""
    head = f"{'':4} {'':1} {'state':9} {'epoch':>8} {'acc %':>6}"
    lines = [Line(Text(head, "dim", no_wrap=True))]
    return [*lines, *(_make_line(n, run, symbols) for n, run in enumerate(runs, start=1))]


def fact_lines(number: int, run: RunView, facts: RunFacts | None, *, width: int, symbols: Symbols) -> list[Line]:
    """Make the lines of what there is to know of a run: how it stands and why, its recipe, the end of its log.

    Args:
        number: The replica's, from 1.
        run: The run as it was last read.
        facts: What was read of its files; None while they are read.
        width: Columns of a line.
        symbols: What can be shown.
    """
    state, result = run.state, run.state.result
    head = f"replica {number}: {_name_state(run)}, epoch {_count_epochs(run)} of {run.planned_epochs}"
    if result is not None:
        head += f", {format_seconds(result.seconds)}"
    if state.attempts > 1:
        head += f", {state.attempts} attempts"
    lines = [*wrap_lines(head, width), *wrap_lines(f"run {run.id}", width)]
    if state.reason:
        lines += [Line(Text(part.text.plain, "bold")) for part in wrap_lines(state.reason, width)]
    if result is not None and result.resumption is not None:
        lines += wrap_lines(describe_resumption(result.resumption), width)
    if facts is None or facts.run != run.id:
        return [*lines, Line(Text(f"reading {symbols.ellipsis}", "dim"))]
    if facts.shared:
        lines += wrap_lines(f"counts for {', '.join(map(printable, facts.shared))} too", width)
    lines += _list_recipe(number, facts, width)
    lines.append(Line(Text("log (Enter opens it)" if facts.log else "log: nothing was printed", "dim")))
    for row in facts.log:
        lines += wrap_lines(row, width, indent="  ") or [Line(Text(""))]
    return lines


def describe_resumption(resumption: Resumption) -> str:
    """Say from whose checkpoint a user's own program went on, or why it did not."""
    if resumption.fault:
        return printable(f"trained from its beginning: {resumption.fault}")
    return f"went on from the checkpoint of attempt {resumption.attempt}, which changes no bit (self-test)"


def describe_retry(number: int, run: RunView, snapshot: StudySnapshot) -> str:
    """Say what happens where a run is tried again, and ask for it.

    Args:
        number: The replica's, from 1.
        run: The run.
        snapshot: Its study.
    """
    tries = "1 attempt" if run.state.attempts == 1 else f"{run.state.attempts} attempts"
    lines = [f"Try replica {number} again, from its beginning or its last checkpoint?"]
    state = "failed" if run.state.status == "failed" else f"is {run.state.status}"
    lines.append(f"It {state} after {tries}, of which all files are kept.")
    others = sum(one.state.status not in ("done", "running") for one in snapshot.runs.values()) - 1
    if snapshot.supervised:
        lines.append("The study is running: it begins when a slot is free.")
        lines += ["The study is paused: it waits until it goes on."] if snapshot.control.paused else []
    elif others:
        lines.append(f"It alone is trained: {others} others that are not done stay as they are.")
    else:
        lines.append("It is the only one that is not done.")
    return "\n".join(lines)


def _list_recipe(number: int, facts: RunFacts, width: int) -> list[Line]:
    """Say what differs from replica 1."""
    if facts.differences is None:
        return wrap_lines("its recipe cannot be read", width)
    if number == 1:
        return wrap_lines("replica 1: what others are compared with", width)
    if not facts.differences:
        return wrap_lines("trained exactly as replica 1", width)
    return wrap_lines(f"differs from replica 1: {'; '.join(facts.differences)}", width, indent="  ")
