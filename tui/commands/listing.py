"""`ls`, `status` and `cancel`: what is in a store, how a study stands, and asking it to stop."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.dispatch.cancel import (
    STOP_TIMEOUT_S,
    ask_to_stop,
    end_queued,
    kill_left,
    may_be_queued,
)
from engine.dispatch.start_lock import wait_while_starting
from engine.errors import EXIT_OK, EXIT_RUNS_FAILED, StudyError
from engine.protocol.faults import printable, show_path
from engine.study.metrics_record import read_metrics
from engine.study.notes import describe_damage, find_note, read_note
from engine.study.paths import StudyPaths, find_store, find_store_fault, is_named, iterate_studies
from engine.study.records import Damage, read_record
from engine.study.snapshot import RunView, StudySnapshot
from engine.study.summary import summarise_study
from engine.study.supervisor_record import SupervisorRecord
from engine.study.view import StudyView
from tui.commands.described import describe_store, describe_study, print_json
from tui.commands.output import describe_repair, name_runs, print_text, results_console
from tui.commands.progress import draw_arms, find_obstacles, format_summary, list_failures
from tui.text.counts import be, plural
from tui.text.decisions import describe_comparison
from tui.text.format import Symbols, choose_symbols, describe_state, format_number, format_seconds
from tui.text.notes import format_tags, list_said
from tui.text.places import list_places

KILL_TIMEOUT_S = 5.0
"""How long a process that was killed may take to be gone."""
STOP_PERIOD_S = 0.2


def list_studies(store: str | None, *, as_json: bool = False) -> int:
    """Print the studies of a store, one a line; or as JSON.

    Raises:
        StudyError: If the store that was asked for is not there, or is no folder.
    """
    console = results_console()
    root = find_store(store)
    # Where nobody has named a store, that there is none yet is no fault.
    if not root.is_dir() and (is_named(store) or os.path.lexists(root)):
        raise StudyError(describe_no_store(root))
    fault = find_store_fault(root)
    if fault is not None:
        raise StudyError(fault)
    # Behind a link every file would have to be looked up to see that it lies inside its study.
    studies = list(iterate_studies(Path(os.path.realpath(root))))
    if as_json:
        print_json(describe_store(root, map(summarise_study, studies)))
        return EXIT_OK
    if not studies:
        hint = "`nondet-tui --batch PROTOCOL.toml` makes one; --store DIR or NONDET_STORE names another store"
        print_text(console, f"no studies in {root}: {hint}")
        return EXIT_OK
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    rows = [_describe_study(paths, choose_symbols(console.encoding)) for paths in studies]
    titles = ("study", "state", "runs", "last change", "tags")
    shown = len(titles) if any(row[-1] for row in rows) else len(titles) - 1
    for title in titles[:shown]:
        table.add_column(title, justify="right" if title == "runs" else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row[:shown]))
    console.print(table)
    return EXIT_OK


def describe_no_store(root: Path) -> str:
    """Say that there is no store at a place, and what makes one or names another."""
    problem = "is a file, and a store is a folder" if os.path.lexists(root) else "there is no store here yet"
    if root.is_symlink():
        problem = "is a link that leads to no folder"
    remedy = "`nondet-tui --batch PROTOCOL.toml` makes one; --store DIR or NONDET_STORE names another store"
    return f"{show_path(root)}: {problem}: {remedy}"


def _describe_study(paths: StudyPaths, symbols: Symbols) -> tuple[str, str, str, str, str]:
    """Return the cells of a study: name, state, runs, age, and tags, which are empty where it has none."""
    summary = summarise_study(paths)
    name = printable(paths.name)
    if summary.fault is not None:
        return name, printable(summary.fault), symbols.missing, symbols.missing, ""
    age = f"{format_seconds(max(0.0, time.time() - summary.changed))} ago"
    return (
        name,
        describe_state(summary.state, summary.failed, symbols),
        f"{summary.done}/{summary.total}",
        age,
        format_tags(summary.tags),
    )


def show_status(paths: StudyPaths, *, as_json: bool = False) -> int:
    """Print how a study stands, or the same as JSON; exit code 1 where runs have failed."""
    view = StudyView(paths)
    snapshot = view.refresh()
    failures = list_failures(snapshot, paths)
    if as_json:
        notes = [*find_obstacles(snapshot), *_damage_lines(paths, snapshot)]
        notes += [] if snapshot.failure is None else [printable(snapshot.failure)]
        print_json(describe_study(paths, view.plan, snapshot, notes, read_note(paths)))
        return EXIT_RUNS_FAILED if failures else EXIT_OK
    console = results_console()
    symbols = choose_symbols(console.encoding)
    print_text(console, str(paths.folder))
    for line in list_said(find_note(paths)):
        print_text(console, line)
    print_text(console, format_summary(snapshot, symbols, named=False))
    console.print(draw_arms(snapshot, symbols, width=console.width))
    for line in (
        *describe_comparison(snapshot, symbols),
        *list_places(snapshot.slots),
        *_running_lines(snapshot),
        *find_obstacles(snapshot),
        *_damage_lines(paths, snapshot),
    ):
        print_text(console, line)
    for text in failures.values():
        print_text(console, text)
    damaged = sum(run.state.damaged for run in snapshot.runs.values())
    if damaged:
        print_text(console, describe_repair(paths, damaged))
    if snapshot.failure is not None:
        print_text(console, printable(snapshot.failure))
    return EXIT_RUNS_FAILED if failures else EXIT_OK


def _running_lines(snapshot: StudySnapshot) -> list[str]:
    lines: list[str] = []
    told: set[str] = set()
    for arm in snapshot.arms:
        for replica, run in enumerate(arm.runs, start=1):
            if run.state.status == "running" and run.id not in told:
                told.add(run.id)
                lines.append(f"running: {printable(arm.name)}, replica {replica}: {_describe_epoch(run)}")
    return lines


def _describe_epoch(run: RunView) -> str:
    if run.latest is None:
        return f"run {run.id}, before its first epoch of {run.planned_epochs}"
    accuracy = format_number(run.latest.test_accuracy, 2)
    return f"run {run.id}, epoch {run.latest.epoch}/{run.planned_epochs}, accuracy {accuracy} %"


def _damage_lines(paths: StudyPaths, snapshot: StudySnapshot) -> list[str]:
    """Return a line for each file of a study that cannot be read, with what follows from it."""
    lines: list[str] = []
    names = name_runs((arm.name, [run.id for run in arm.runs]) for arm in snapshot.arms)
    for run in snapshot.runs.values():
        if run.bad_lines:
            name = names.get(run.id, f"run {run.id}")
            skipped = f"cannot be read and {be(run.bad_lines)} skipped"
            lines.append(f"{name}: {plural(run.bad_lines, 'line')} of epochs.jsonl {skipped}")
    found = {
        "run or report": read_metrics(paths.metrics),
        "run": read_record(paths.supervisor, SupervisorRecord),
    }
    for writer, damage in found.items():
        if isinstance(damage, Damage):
            lines.append(str(damage) if damage.later else f"{damage}; it is written anew by the next {writer}")
    note = read_note(paths)
    return [*lines, describe_damage(note)] if isinstance(note, Damage) else lines


def cancel_study(paths: StudyPaths) -> int:
    """Ask a study to stop, and wait until it has; what does not end in time is ended.

    Returns:
        The exit code.
    """
    console = Console(stderr=True, highlight=False)
    wait_while_starting(paths)
    view = StudyView(paths)
    snapshot = view.refresh()
    said = read_record(paths.supervisor, SupervisorRecord)
    if isinstance(said, Damage) and said.withheld:
        raise StudyError(f"{said}, so nobody can tell whether it runs: check the folder's owner and mount")
    executor = view.plan.dispatch.executor
    if not _is_active(snapshot) and not may_be_queued(executor, snapshot):
        print_text(console, f"{paths.folder}: is not running, nothing to cancel")
        return EXIT_OK
    refusal = ask_to_stop(paths, snapshot)
    if refusal is not None:
        print_text(console, printable(refusal))
    if not snapshot.supervised:
        _tell_queued(console, paths, executor, begun=False)
    killed = False
    for patience_s in (STOP_TIMEOUT_S, KILL_TIMEOUT_S):
        deadline = time.monotonic() + patience_s
        while _is_active(snapshot := view.refresh()) and time.monotonic() < deadline:
            time.sleep(STOP_PERIOD_S)
        if not _is_active(snapshot):
            if killed:
                _tell_queued(console, paths, executor, begun=True)
            done, forced = snapshot.counts.get("done", 0), "; what did not end was ended by force" if killed else ""
            runs = f"{done} of {plural(len(snapshot.runs), 'run')} {be(done)} done and kept"
            print_text(console, f"{paths.folder}: stopped; {runs}{forced}")
            return EXIT_OK
        killed = kill_left(snapshot) or killed
        if not snapshot.supervised:
            _tell_queued(console, paths, executor, begun=True)
    running = snapshot.counts.get("running", 0)
    ending = f"{plural(running, 'run')} still {'ends' if running == 1 else 'end'}"
    rest = ending if running else "what is done is still being measured"
    for line in find_obstacles(snapshot):
        print_text(console, line)
    shown = f"`nondet-tui status {paths.folder}` shows when"
    print_text(console, f"{paths.folder}: asked to stop, {rest}; {shown}")
    return EXIT_OK


def _tell_queued(console: Console, paths: StudyPaths, executor: str, *, begun: bool) -> None:
    """End what waits in a scheduler's queue while no supervisor does, and say so; see `end_queued`."""
    said = end_queued(paths, executor, begun=begun)
    if said is not None:
        print_text(console, f"{paths.folder}: {printable(said)}")


def _is_active(snapshot: StudySnapshot) -> bool:
    return snapshot.supervised or bool(snapshot.counts.get("running"))
