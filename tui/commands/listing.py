"""`ls`, `status` and `cancel`: what is in a store, how a study stands, and asking it to stop."""

from __future__ import annotations

import time

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.errors import EXIT_OK, EXIT_RUNS_FAILED
from engine.protocol.faults import printable
from engine.study.control import request
from engine.study.metrics_record import read_metrics
from engine.study.paths import StudyPaths, find_store, iterate_studies
from engine.study.records import Damage, read_record
from engine.study.summary import summarise_study
from engine.study.supervisor_record import SupervisorRecord, is_supervised
from engine.study.view import RunView, StudySnapshot, StudyView
from tui.commands.output import print_text, results_console
from tui.commands.progress import describe_line, find_obstacles, list_failures
from tui.text.format import Symbols, choose_symbols, describe_state, format_number, format_seconds

STOP_TIMEOUT_S = 20.0
STOP_PERIOD_S = 0.2


def list_studies(store: str | None) -> int:
    """Print the studies of a store, one a line."""
    console = results_console()
    root = find_store(store)
    studies = list(iterate_studies(root))
    if not studies:
        hint = "`nondet-tui --batch PROTOCOL.toml` makes one; --store DIR or NONDET_STORE names another store"
        print_text(console, f"no studies in {root}: {hint}")
        return EXIT_OK
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("study", "state", "runs", "last change"):
        table.add_column(title, justify="right" if title == "runs" else "left", overflow="fold")
    for paths in studies:
        table.add_row(*map(Text, _describe_study(paths, choose_symbols(console.encoding))))
    console.print(table)
    return EXIT_OK


def _describe_study(paths: StudyPaths, symbols: Symbols) -> tuple[str, str, str, str]:
    summary = summarise_study(paths)
    name = printable(paths.name)
    if summary.fault is not None:
        return name, printable(summary.fault), symbols.missing, symbols.missing
    age = f"{format_seconds(max(0.0, time.time() - summary.changed))} ago"
    return name, describe_state(summary.state, summary.failed, symbols), f"{summary.done}/{summary.total}", age


def show_status(paths: StudyPaths) -> int:
    """Print how a study stands; exit code 1 where runs have failed."""
    console = results_console()
    symbols = choose_symbols(console.encoding)
    snapshot = StudyView(paths).refresh()
    print_text(console, f"{paths.folder}  {describe_state(snapshot.state, snapshot.counts.get('failed', 0), symbols)}")
    print_text(console, describe_line(snapshot, symbols).partition("\n")[2])
    for line in (*_running_lines(snapshot), *find_obstacles(snapshot), *_damage_lines(paths, snapshot)):
        print_text(console, line)
    failures = list_failures(snapshot, str(paths.folder))
    for text in failures.values():
        print_text(console, text)
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
    for run in snapshot.runs.values():
        if run.bad_lines:
            lines.append(f"run {run.id}: {run.bad_lines} lines of epochs.jsonl cannot be read and are skipped")
    found = {
        "run or report": read_metrics(paths.metrics),
        "run": read_record(paths.supervisor, SupervisorRecord),
    }
    for writer, damage in found.items():
        if isinstance(damage, Damage):
            lines.append(str(damage) if damage.later else f"{damage}; it is written anew by the next {writer}")
    return lines


def cancel_study(paths: StudyPaths) -> int:
    """Ask a study to stop, and wait until it has."""
    console = Console(stderr=True, highlight=False)
    snapshot = StudyView(paths).refresh()
    if not snapshot.supervised and not snapshot.counts.get("running"):
        print_text(console, f"{paths.folder}: is not running, nothing to cancel")
        return EXIT_OK
    request(paths, "cancel")
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        snapshot = StudyView(paths).refresh()
        if not is_supervised(paths) and not snapshot.counts.get("running"):
            done = snapshot.counts.get("done", 0)
            print_text(console, f"{paths.folder}: stopped; {done} of {len(snapshot.runs)} runs are done and kept")
            return EXIT_OK
        time.sleep(STOP_PERIOD_S)
    running = snapshot.counts.get("running", 0)
    print_text(console, f"{paths.folder}: asked to stop, {running} runs still end; `nondet-tui status` shows when")
    return EXIT_OK
