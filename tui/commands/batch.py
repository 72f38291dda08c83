"""`--batch`: train what a protocol lacks and follow it, as one viewer among others.

The training does not depend on this process. Ctrl-C asks the supervisor to stop; once more takes that back and
leaves it running; any other end of this process changes nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from engine.dispatch.cancel import STOP_TIMEOUT_S, ask_to_stop, end_queued, kill_left
from engine.dispatch.launch import cut_plan, done_runs, find_folder, settle_comparison
from engine.dispatch.start import PreparedStudy, preparing, start_supervisor
from engine.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_RUNS_FAILED, StudyError
from engine.plan.plan import Plan
from engine.plan.records import Packings, PlannedArm
from engine.protocol.definition import Protocol
from engine.protocol.faults import printable
from engine.protocol.load import load_protocol
from engine.study.looks import Pace
from engine.study.measured import MeasuredStudy, read_measured
from engine.study.metrics_record import StudyMeasures
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.selftest_record import SelfTestRecord, describe_selftest
from engine.study.snapshot import StudySnapshot
from engine.study.study_plan import read_plan
from engine.study.view import StudyView
from engine.tuning.choice import Decided, decide, plan_known, recall
from tui.commands.check import describe_choices, describe_code, note_batches, note_kernels
from tui.commands.measuring import refresh_metrics
from tui.commands.output import name_runs, print_results, print_text
from tui.commands.progress import describe_plainly, list_failures, render
from tui.text.counts import all_of, be, plural
from tui.text.format import Symbols, choose_symbols, format_bytes
from tui.text.places import list_reasons

PERIOD_S = 0.25
MAX_PERIOD_S = 2.0
PLAIN_PERIOD_S = 30.0
"""Without a terminal, a line is written at least this often while something changes."""
MAX_RESTARTS = 3
LITTLE_ROOM_BYTES = 1_000_000


@dataclass
class Viewer:
    """The state of following a study: its folder, its console, and what was already told about it."""

    study: PreparedStudy
    console: Console
    symbols: Symbols
    start: Callable[[StudyPaths], None] = start_supervisor
    """Has the study trained; joins the supervisor that runs."""
    interrupts: int = 0
    """How often Ctrl-C was pressed."""
    stop_sent: bool = False
    stop_sent_at: float = 0.0
    killed: bool = False
    """Whether something of the study was ended by force."""
    left_running: bool = False
    restarts: int = 0
    told: set[str] = field(default_factory=set[str])
    """Runs whose failure was told."""
    warned: set[str] = field(default_factory=set[str])
    """Warnings that hold and were told."""
    last_line: str = ""
    last_line_at: float = -1e9
    last_done: int = -1

    @property
    def paths(self) -> StudyPaths:
        """The study's folder."""
        return self.study.paths

    def note_interrupt(self, number: int, frame: FrameType | None) -> None:
        """Count a Ctrl-C; a signal handler, so that nothing else is done here."""
        self.interrupts += 1

    def tell(self, text: str) -> None:
        """Print a message to stderr."""
        print_text(self.console, text)


def run_batch(path: Path, *, store: str | None, overrides: tuple[str, ...], as_json: bool) -> int:
    """Train a protocol headless.

    Returns:
        The exit code.

    Raises:
        NondetError: If the protocol is faulty, or the store cannot be used.
    """
    console = make_console()
    protocol = load_protocol(path, overrides=overrides)
    trained = train(protocol, console, store=store)
    if trained.lost:
        arms = read_plan(find_folder(protocol, store=store)).arms
        names = name_runs((arm.name, arm.runs) for arm in arms)
        said = "; ".join(said for run, said in names.items() if run in trained.lost)
        print_text(console, f"finished runs whose files are damaged are trained again: {said}")
        trained = train(protocol, console, store=store)
    while trained.code == EXIT_RUNS_FAILED and has_smaller(recall(protocol, store=store).packings, trained.packings):
        print_text(console, "packs ran out of memory: they are halved, and their runs are trained in smaller ones")
        trained = train(protocol, console, store=store)
    if trained.measured is None:
        return trained.code
    print_results(find_folder(protocol, store=store), trained.measured, as_json=as_json)
    return EXIT_RUNS_FAILED if trained.lost else trained.code


@dataclass(frozen=True)
class Trained:
    """The outcome of training a protocol."""

    code: int
    """The exit code."""
    packings: Packings
    """How packs were chosen."""
    lost: frozenset[str] = frozenset()
    """Finished runs whose files turned out to be damaged when they were measured."""
    measured: MeasuredStudy | None = None
    """What was measured, of exactly this protocol; None where it was interrupted."""


def train(protocol: Protocol, console: Console, *, store: str | None) -> Trained:
    """Train what a protocol lacks, and have it measured.

    Raises:
        NondetError: If the store cannot be used, or another command gave the study another plan meanwhile.
    """
    chosen = recall(protocol, store=store)
    plan = plan_known(protocol, chosen, store=store)
    folder, compare = find_folder(protocol, store=store), settle_comparison(protocol)
    if not done_runs(folder, plan).issuperset(cut_plan(folder, plan, compare).recipes):
        for line in describe_code(protocol):
            print_text(console, line)
        decided = decide(protocol, store=store, timed=False)
        plan, chosen = decided.plan, decided.chosen
        tell_notes(console, decided)
    symbols = choose_symbols(console.encoding)
    with ExitStack() as held:
        study = held.enter_context(preparing(protocol, plan, store=store, chosen=chosen))
        paths, order = study.paths, read_plan(study.paths).order
        done, total = len(study.done.intersection(order)), len(order)
        if done == total and (paths.cka.exists() or not protocol.metrics.cka):
            print_text(console, f"{paths.folder}: {all_of(total, 'run')} {be(total)} already done")
            code = EXIT_OK
        else:
            print_text(console, f"{paths.folder}: {plural(total, 'run')}, {done} of them already done")
            code = follow(study, console, symbols, begun=held.close)
        held.close()
    tell_selftest(console, paths, plan)
    if code == EXIT_INTERRUPTED:
        return Trained(code, chosen.packings)
    finished = study.done | done_runs(paths, plan)
    measured = refresh_metrics(paths) or read_measured(paths)
    if not shows_plan(measured.metrics, cut_plan(paths, plan, compare).arms):
        raise StudyError(describe_other_plan(study))
    return Trained(code, chosen.packings, frozenset(finished - done_runs(paths, plan)), measured)


def tell_selftest(console: Console, paths: StudyPaths, plan: Plan) -> None:
    """Print what the first runs have shown of a user's own program."""
    test = None if plan.selftest is None else find_record(paths.selftest, SelfTestRecord)
    if plan.selftest is not None and test is not None and test.runs == plan.selftest.runs:
        for line in describe_selftest(test):
            print_text(console, f"self-test: {printable(line)}")


def has_smaller(packings: Packings, before: Packings) -> bool:
    """Tell whether packs of some runs are smaller than they were."""
    return any(kind in before and packing.size < before[kind].size for kind, packing in packings.items())


def shows_plan(metrics: StudyMeasures, arms: Sequence[PlannedArm]) -> bool:
    """Tell whether measures are a plan's: of its arms, over its runs, whose ids stand for every setting."""
    if [arm.name for arm in metrics.arms] != [arm.name for arm in arms]:
        return False
    used = [{run for part in arm.runs_used for run in part.split("+")} for arm in metrics.arms]
    return all(
        measured.planned == len(arm.runs) // arm.group and runs <= set(arm.runs)
        for measured, arm, runs in zip(metrics.arms, arms, used, strict=True)
    )


def describe_other_plan(study: PreparedStudy) -> str:
    """Say that a study was given another plan since this command wrote its own."""
    return (
        f"{study.paths.folder}: another command has given this study another plan meanwhile, so its results are not "
        "the ones asked for here: run this command again, or name a study of its own with --set protocol.name=NAME"
    )


def make_console() -> Console:
    """Return the console for progress: it writes to stderr, because stdout is for results."""
    return Console(stderr=True, highlight=False)


def tell_notes(console: Console, decided: Decided) -> None:
    """Print notes about devices, choices and sources, after data and models were tried out."""
    plan, facts = decided.plan, decided.facts
    for line in decided.notes:
        print_text(console, f"note: {printable(line)}")
    for line in describe_choices(plan, decided.chosen):
        print_text(console, f"note: {line}")
    for arm in plan.arms:
        for reason in arm.empty.values():
            print_text(console, f"note: {arm.name}: {reason}")
        if arm.unisolated is not None:
            print_text(console, f"note: {arm.name}: not isolated, which the protocol allows: {arm.unisolated}")
    for line in (*note_batches(plan, facts), *note_kernels(facts)):
        print_text(console, f"note: {line}")


def follow(study: PreparedStudy, console: Console, symbols: Symbols, *, begun: Callable[[], None]) -> int:
    """Train a study and show its progress until it ends or is left to run in the background.

    Args:
        study: Kept from other commands.
        console: For progress.
        symbols: That it can show.
        begun: Called once the supervisor is there: others may look at the study then.

    Returns:
        The exit code.

    Raises:
        StudyError: If another command gave the study another plan meanwhile.
    """
    viewer = Viewer(study=study, console=console, symbols=symbols)
    previous = signal.signal(signal.SIGINT, viewer.note_interrupt)
    try:
        study.start()
        begun()
        with Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else _NoLive() as live:
            code, snapshot = _watch(viewer, live)
    finally:
        signal.signal(signal.SIGINT, previous)
    tell_end(viewer, snapshot, code)
    return code


class _NoLive:
    """Replaces rich's live display where there is no terminal; it draws nothing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _watch(viewer: Viewer, live: Live | None) -> tuple[int, StudySnapshot]:
    view, pace = StudyView(viewer.paths), Pace()
    while True:
        pace.begin()
        snapshot = view.refresh()
        if view.followed.whole.work != viewer.study.work:
            raise StudyError(describe_other_plan(viewer.study))
        react_to_interrupts(viewer, snapshot)
        tell_failures(viewer, snapshot)
        if live is not None:
            picture = render(snapshot, warn(viewer.paths), viewer.symbols, width=viewer.console.width)
            live.update(picture, refresh=True)
        else:
            tell_plainly(viewer, snapshot)
            tell_warnings(viewer, [*warn(viewer.paths), *list_reasons(snapshot.slots)])
        code = judge(viewer, snapshot)
        if code is not None:
            if viewer.killed:  # a supervisor that could not end what waits in a scheduler's queue
                said = end_queued(viewer.paths, view.plan.dispatch.executor, begun=True)
                tell_warnings(viewer, [] if said is None else [printable(said)])
            return code, snapshot
        if viewer.stop_sent and time.monotonic() - viewer.stop_sent_at > STOP_TIMEOUT_S:
            viewer.killed = kill_left(snapshot) or viewer.killed
        if snapshot.supervision.hung and not viewer.stop_sent:
            viewer.tell(f"{snapshot.supervision.obstacle}")
            viewer.start(viewer.paths)
        if not snapshot.supervised:
            viewer.restarts += 1
            viewer.tell("the supervisor has ended before the study; starting it again")
            viewer.start(viewer.paths)
        pace.end()
        _rest(viewer, pace)


def _rest(viewer: Viewer, pace: Pace) -> None:
    """Wait until following takes no more than its share of a core, or until somebody interrupts."""
    due, interrupts = time.monotonic() + min(MAX_PERIOD_S, pace.rest_s(PERIOD_S)), viewer.interrupts
    while (left_s := due - time.monotonic()) > 0 and viewer.interrupts == interrupts:
        time.sleep(min(PERIOD_S, left_s))


def react_to_interrupts(viewer: Viewer, snapshot: StudySnapshot) -> None:
    """Ask the study to stop after the first Ctrl-C; start it again in the background after the second."""
    if viewer.interrupts >= 1 and not viewer.stop_sent:
        refusal = ask_to_stop(viewer.paths, snapshot)
        viewer.stop_sent, viewer.stop_sent_at = True, time.monotonic()
        if refusal is not None:
            viewer.tell(printable(refusal))
        viewer.tell("stopping; Ctrl-C again leaves it running in the background instead")
    if viewer.interrupts >= 2 and not viewer.left_running:
        viewer.start(viewer.paths)
        viewer.left_running = True


def judge(viewer: Viewer, snapshot: StudySnapshot) -> int | None:
    """Return the exit code of the command; None while the study goes on."""
    if viewer.left_running:
        return EXIT_INTERRUPTED
    if snapshot.supervised:
        return None
    if viewer.stop_sent:
        return EXIT_INTERRUPTED
    complete = snapshot.counts.get("done", 0) == len(snapshot.runs)
    if snapshot.finished:
        return EXIT_OK if complete else EXIT_RUNS_FAILED
    hopeless = snapshot.control.cancelled or snapshot.failure or viewer.restarts >= MAX_RESTARTS
    return EXIT_RUNS_FAILED if hopeless else None


def tell_failures(viewer: Viewer, snapshot: StudySnapshot) -> None:
    """Say each failure once, when nothing more will be tried."""
    for run_id, text in list_failures(snapshot, viewer.paths).items():
        if run_id not in viewer.told and not snapshot.runs[run_id].state.retriable:
            viewer.told.add(run_id)
            viewer.tell(text)


def tell_plainly(viewer: Viewer, snapshot: StudySnapshot) -> None:
    """Print the progress as plain lines: at each tenth of the runs, or every half minute while something changes."""
    now, done, total = time.monotonic(), snapshot.counts.get("done", 0), max(1, len(snapshot.runs))
    if 10 * done // total == 10 * viewer.last_done // total and now - viewer.last_line_at < PLAIN_PERIOD_S:
        return
    text = describe_plainly(snapshot, viewer.symbols)
    if text != viewer.last_line:
        viewer.tell(text)
    viewer.last_line, viewer.last_line_at, viewer.last_done = text, now, done


def tell_warnings(viewer: Viewer, warnings: list[str]) -> None:
    """Print each warning once, and again when it comes back."""
    for text in warnings:
        if text not in viewer.warned:
            viewer.tell(text)
    viewer.warned = set(warnings)


def warn(paths: StudyPaths) -> list[str]:
    """Return a warning where the study cannot be written, or its disk is almost full; an empty list otherwise."""
    if not os.access(paths.folder, os.W_OK | os.X_OK):
        return [f"{paths.folder}: cannot be written now: runs wait for it, and stop if that lasts"]
    try:
        free = shutil.disk_usage(paths.folder).free
    except OSError:
        return []
    if free >= LITTLE_ROOM_BYTES:
        return []
    return [f"{paths.folder}: {format_bytes(free)} free: runs wait for room, and stop if none comes"]


def tell_end(viewer: Viewer, snapshot: StudySnapshot, code: int) -> None:
    """Print how the study ended and how to go on."""
    name, folder = viewer.paths.name, viewer.paths.folder
    if viewer.left_running:
        again = f"`nondet-tui status {folder}` shows it, `nondet-tui cancel {folder}` stops it"
        viewer.tell(f"{name} is left running in the background: {again}; the same command follows it again")
    elif code == EXIT_INTERRUPTED:
        done = snapshot.counts.get("done", 0)
        viewer.tell(f"{name} is stopped; {done} finished runs are kept: the same command trains the rest")
    elif snapshot.control.cancelled:
        viewer.tell(f"{name} was cancelled by somebody else: the same command trains the rest")
    elif failure := snapshot.failure:
        viewer.tell(f"{name}: {failure}")
    elif code == EXIT_RUNS_FAILED and not snapshot.finished:
        viewer.tell(f"{name}: the supervisor keeps ending; see {viewer.paths.supervisor_log}")
