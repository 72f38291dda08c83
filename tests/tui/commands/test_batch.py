"""What the viewer of --batch decides: exit codes, Ctrl-C once and twice, restarts of a killed supervisor."""

from __future__ import annotations

import io
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engine.dispatch.start import PreparedStudy
from engine.plan.plan import Plan, make_plan
from engine.protocol.load import parse_protocol
from engine.study.beats import BeatRecord, Silence
from engine.study.control import Control, read_control
from engine.study.metrics_record import StudyMeasures
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.run_state import RunState
from engine.study.snapshot import RunView, StudySnapshot
from engine.study.supervisor_record import SlotRecord, Supervision, SupervisorRecord
from tests.helpers.measures import make_measures
from tests.helpers.records import make_supervisor
from tui.commands import batch
from tui.commands.batch import MAX_RESTARTS, Viewer, judge, react_to_interrupts, tell_end, tell_failures, tell_plainly
from tui.text.format import UNICODE


def snapshot(
    *statuses: Any,
    supervised: bool = False,
    supervisor: SupervisorRecord | None = None,
    retriable: bool = False,
    control: Control | None = None,
) -> StudySnapshot:
    runs = {
        str(i): RunView(
            id=str(i),
            state=RunState(status=status, retriable=retriable and status != "done"),
            planned_epochs=1,
        )
        for i, status in enumerate(statuses)
    }
    counts: dict[Any, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    return StudySnapshot(
        study="s", arms=(), runs=runs, counts=counts, diverged=0, control=control or Control(),
        supervision=Supervision(supervisor, asked=supervised), seconds_left=None,
    )  # fmt: skip


@pytest.fixture
def viewer(tmp_path: Path) -> Viewer:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    return Viewer(
        study=PreparedStudy(StudyPaths(tmp_path / "s"), frozenset(), "work"),
        console=console,
        symbols=UNICODE,
        start=lambda paths: None,
    )


def said(viewer: Viewer) -> str:
    assert isinstance(viewer.console.file, io.StringIO)
    return viewer.console.file.getvalue()


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (snapshot("done", "running", supervised=True), None),
        (snapshot("done", "done", supervised=True), None),
        (snapshot("done", "done"), 0),
        (snapshot("done", "failed"), 1),
        (snapshot("done", "lost", retriable=True), None),
        (snapshot("done", "cancelled", control=Control(cancelled=True)), 1),
        (snapshot("done", "queued", retriable=True, control=Control(cancelled=True)), 1),
        (snapshot("done", "queued", retriable=True, supervisor=make_supervisor(failure="no room")), 1),
    ],
)
def test_exit_code(viewer: Viewer, seen: StudySnapshot, code: int | None) -> None:
    assert judge(viewer, seen) == code


def test_supervisor_that_keeps_ending_is_given_up(viewer: Viewer) -> None:
    unfinished = snapshot("queued", retriable=True)
    assert judge(viewer, unfinished) is None
    viewer.restarts = MAX_RESTARTS
    assert judge(viewer, unfinished) == 1
    tell_end(viewer, unfinished, 1)
    assert "supervisor.log" in said(viewer)


def test_first_interrupt_asks_for_the_end_and_waits_for_it(viewer: Viewer) -> None:
    viewer.note_interrupt(signal.SIGINT, None)
    react_to_interrupts(viewer, snapshot("running", supervised=True))
    react_to_interrupts(viewer, snapshot("running", supervised=True))
    assert read_control(viewer.paths).cancelled
    assert said(viewer).count("Ctrl-C again leaves it running") == 1
    assert judge(viewer, snapshot("running", supervised=True)) is None
    assert judge(viewer, snapshot("cancelled")) == 130
    tell_end(viewer, snapshot("done", "cancelled"), 130)
    assert "1 finished runs are kept: the same command trains the rest" in said(viewer)


def test_second_interrupt_leaves_it_running(viewer: Viewer) -> None:
    started = []
    viewer.start = started.append
    viewer.interrupts = 2
    react_to_interrupts(viewer, snapshot("running", supervised=True))
    react_to_interrupts(viewer, snapshot("running", supervised=True))
    assert started == [viewer.paths]
    assert judge(viewer, snapshot("running", supervised=True)) == 130
    tell_end(viewer, snapshot("running", supervised=True), 130)
    assert "left running in the background" in said(viewer)
    assert f"nondet-tui status {viewer.paths.folder}" in said(viewer)


def test_failures_are_told_once_and_only_when_final(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "list_failures", lambda seen, folder: dict.fromkeys(seen.runs, "it failed"))
    tell_failures(viewer, snapshot("lost", retriable=True))
    assert said(viewer) == ""
    tell_failures(viewer, snapshot("failed"))
    tell_failures(viewer, snapshot("failed"))
    assert said(viewer).count("it failed") == 1


def test_plain_output_is_a_line_per_tenth_and_not_a_flood(viewer: Viewer) -> None:
    for done in range(101):
        for _ in range(3):
            tell_plainly(viewer, snapshot(*["done"] * done, *["queued"] * (100 - done), supervised=True))
    lines = said(viewer).splitlines()
    assert len(lines) == 11
    assert "100 of 100 runs" in lines[-1]


def test_full_disk_is_seen_coming(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    viewer.paths.folder.mkdir()
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert "1 kB free" in batch.warn(viewer.paths)[0]
    Usage.free = 10**9
    assert batch.warn(viewer.paths) == []


def test_supervisors_failure_and_anothers_cancel_are_told(viewer: Viewer) -> None:
    tell_end(viewer, snapshot("queued", supervisor=make_supervisor(failure="no worker could start")), 1)
    tell_end(viewer, snapshot("queued", control=Control(cancelled=True)), 1)
    assert "no worker could start" in said(viewer)
    assert "cancelled by somebody else" in said(viewer)


def test_measures_of_another_plan_are_not_taken_for_ones_own(protocol_text: str) -> None:
    plan = make_plan(parse_protocol(protocol_text, file="tiny.toml"), device="cpu")
    other = make_plan(parse_protocol(protocol_text.replace("epochs = 2", "epochs = 3"), file="tiny.toml"), device="cpu")

    def measured(of: Plan, used: int, arms: int | None = None) -> StudyMeasures:
        found = [make_measures(name=a.name, planned=len(a.runs), runs_used=a.runs[:used]) for a in of.arms[:arms]]
        return StudyMeasures(study="tiny", arms=tuple(found))

    assert batch.shows_plan(measured(plan, 2), plan.arms)
    assert batch.shows_plan(measured(plan, 0), plan.arms)
    assert not batch.shows_plan(measured(other, 2), plan.arms)
    assert not batch.shows_plan(measured(plan, 2, arms=1), plan.arms)


def test_plain_output_says_who_holds_the_slots_and_what_stands_still(viewer: Viewer) -> None:
    waiting = SlotRecord("cpu:0", "waiting", "the slot is held by study other (process 7)")
    seen = snapshot("running", supervised=True, supervisor=make_supervisor(slots=(waiting,), note="measuring: halted"))
    beat = BeatRecord(boot_id="b", beaten=0.0, moved=0.0, place="user's code, net.py line 3 (forward)")
    silent = RunState(
        status="running", owner=replace(current_owner(), pid=9), silence=Silence(dead_s=2, still_s=130, beat=beat)
    )
    elsewhere = RunState(
        status="running",
        owner=replace(current_owner(), host="elsewhere", pid=8),
        asked=False,
        silence=Silence(dead_s=45, still_s=45, beat=beat),
    )
    states = {"a": silent, "b": elsewhere}
    runs = {name: RunView(id=name, state=one, planned_epochs=3) for name, one in states.items()}
    tell_plainly(viewer, replace(seen, runs=runs))
    text = " ".join(said(viewer).split())
    for words in (
        "slot cpu:0: the slot is held by study other (process 7)",
        "measuring: halted",
        "run a: no sign for 130 s, epoch 1, user's code, net.py line 3 (forward)",
        "run b: its owner cannot be asked (process 8 on elsewhere): no sign for 45 s, taken for lost after 120 s",
    ):
        assert words in text, text
