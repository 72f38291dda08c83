"""A user's own program, run by a worker: what is kept of a good one, and what a user reads of a bad one."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pytest

import nondet_report
from engine.dispatch.devices import make_slots
from engine.dispatch.jobs import EXIT_FENCED
from engine.dispatch.leases import Holder, Lease
from engine.metrics import diversity
from engine.metrics.study import measure_study
from engine.protocol.load import load_protocol
from engine.study.control import request
from engine.study.epochs import read_epochs
from engine.study.records import find_record
from engine.study.run_records import ExitRecord
from engine.study.run_state import read_result
from engine.study.selftest_record import SelfTestRecord
from engine.study.study_plan import read_plan
from engine.tuning.selftest import run_selftest
from tests.helpers.own_programs import (
    add_arm,
    find_arm,
    list_processes_of,
    prepare,
    read_reason,
    run_worker,
    start_worker,
)
from tui.cli import main

HELPER = Path(nondet_report.__file__)

PROGRAM = """
import os, random, signal, subprocess, sys, time
mode, seed, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.path.insert(0, HELPER)
import nondet_report as report
if mode == "clock":
    seed = time.time_ns()
rng = random.Random(0 if mode == "deaf" else seed)
labels = [i % 3 for i in range(12)]
logits = [[rng.gauss(2.0 * (c == label), 1.0) for c in range(3)] for label in labels]
if mode == "shuffled":
    labels = labels[1:] + labels[:1]
report.epoch(accuracy=50.0, loss=1.0, f1=0.25)
print("epoch done", mode)
if mode == "status":
    print("CUDA is not what it was")
    sys.exit(3)
if mode == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "silent":
    sys.exit()
if mode == "chatter":
    for _ in range(30):
        sys.stdout.write("x" * 1_000_000)
if mode in ("hang", "forks"):
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", out], start_new_session=True)
if mode == "hang":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    time.sleep(600)
if mode == "flat":
    logits = [row[0] for row in logits]
if mode == "nan":
    logits[0][0] = float("nan")
report.done(logits, labels, f1=0.5 + seed / 100)
if mode == "half":
    with open(out + "/predictions.npy", "r+b") as file:
        file.truncate(200)
"""

SCRIPT = PROGRAM.replace("HELPER", repr(str(HELPER.parent)))


@pytest.mark.slow
def test_predictions_are_measured_as_the_arrays_that_the_program_wrote(tmp_path: Path) -> None:
    paths = prepare(
        tmp_path,
        SCRIPT,
        add_arm("good", replicas=3) + add_arm("good", vary="[]", replicas=2).replace('me = "good', 'me = "Control'),
    )
    run_worker(paths)
    runs = find_arm(paths, "good")
    files = [paths.run(run).attempt(1).folder / "out" / "predictions.npy" for run in runs]
    logits, labels = np.stack([np.load(file) for file in files]).astype(np.float32), np.arange(12) % 3
    expected = diversity(logits, labels, bootstrap=10_000)
    (good, control) = measure_study(paths, read_plan(paths)).arms
    assert good.find("disagreement").value == expected.disagreement
    assert good.find("accuracy_sd").error == expected.accuracy_sd_error
    assert good.find("correlation").interval == expected.correlation_ci
    assert good.scores["f1"].mean == pytest.approx(0.52)
    assert control.identical_predictions is True
    result = read_result(paths.run(runs[0]))
    assert result is not None
    assert result.test_accuracy == 100.0 * np.mean(logits[0].argmax(1) == labels)
    (record,) = read_epochs(paths.run(runs[0]).attempt(1).epochs).records
    assert (record.test_accuracy, record.train_loss, record.scores) == (50.0, 1.0, {"f1": 0.25})
    test = find_record(paths.selftest, SelfTestRecord)
    assert test is not None
    assert (test.repeats, test.refusal, [one.source for one in test.sources]) == (True, None, ["init"])


@pytest.mark.slow
def test_user_reads_what_is_wrong_with_a_program(tmp_path: Path) -> None:
    modes = ("status", "killed", "silent", "shuffled", "half", "flat", "nan", "chatter", "forks")
    paths = prepare(
        tmp_path, SCRIPT, add_arm("good", vary="[]", replicas=2) + "".join(add_arm(mode, vary="[]") for mode in modes)
    )
    run_worker(paths)
    assert "ended with status 3; its last line: CUDA is not what it was" in read_reason(paths, "status")
    assert "ended by SIGKILL, as the kernel does where memory runs out" in read_reason(paths, "killed")
    assert "left no labels.npy in {out} (there: epochs.jsonl)" in read_reason(paths, "silent")
    assert "same order, in every run: look for a test loader that shuffles" in read_reason(paths, "shuffled")
    assert "predictions.npy: cannot be read as an array" in read_reason(paths, "half")
    assert "not logits (12, C) for 12 labels" in read_reason(paths, "flat")
    diverged = read_result(paths.run(find_arm(paths, "nan")[0]))
    assert diverged is not None
    assert diverged.diverged
    for mode in ("chatter", "forks"):
        assert read_result(paths.run(find_arm(paths, mode)[0])) is not None
    assert paths.run(find_arm(paths, "chatter")[0]).attempt(1).log.stat().st_size < 11_000_000
    assert list_processes_of(paths) == []


@pytest.mark.slow
def test_program_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("hang"), settings="timeout_s = 3")
    run_worker(paths)
    ended = find_record(paths.run(read_plan(paths).order[0]).attempt(1).exit, ExitRecord)
    assert ended is not None
    assert (ended.cause, ended.reason.partition(";")[0]) == ("fault", "it was ended after command.timeout_s = 3 s")
    assert list_processes_of(paths) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "begun", "told"),
    [
        ("deaf", 3, "{seed.init} changes nothing: other seeds of init give the same predictions"),
        ("status", 1, "of the self-test failed (the program ended with status 3"),
    ],
)
def test_program_that_its_first_runs_refuse_is_not_run_again(tmp_path: Path, mode: str, begun: int, told: str) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm(mode, replicas=5))
    run_worker(paths)
    assert told in read_reason(paths, mode)
    logs = [attempt.log for run in read_plan(paths).order for attempt in paths.run(run).list_attempts()]
    assert sum(log.exists() for log in logs) == begun


@pytest.mark.slow
def test_program_that_takes_the_time_as_seed_has_a_floor_under_every_row(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("clock", replicas=3))
    run_worker(paths)
    test = find_record(paths.selftest, SelfTestRecord)
    assert test is not None
    assert not test.repeats
    assert test.floor.disagreement
    (arm,) = measure_study(paths, read_plan(paths)).arms
    assert f"disagree on {test.floor.disagreement:.3g} % of the test examples" in arm.reasons["floor"]


def test_no_process_of_the_program_outlives_a_killed_worker(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("hang"))
    worker = start_worker(paths)
    deadline = time.monotonic() + 60
    while len(list_processes_of(paths)) < 3 and time.monotonic() < deadline:  # keeper, program, what it started
        time.sleep(0.05)
    began = list_processes_of(paths)
    assert len(began) >= 3
    worker.kill()
    worker.wait()
    while list_processes_of(paths) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list_processes_of(paths) == []


@pytest.mark.slow
def test_cancelled_program_is_ended_and_counts_as_cancelled(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("hang"))
    worker = start_worker(paths)
    deadline = time.monotonic() + 60
    while len(list_processes_of(paths)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    request(paths, "cancel")
    assert worker.wait(timeout=60) == 0
    ended = find_record(paths.run(read_plan(paths).order[0]).attempt(1).exit, ExitRecord)
    assert ended is not None
    assert (ended.outcome, ended.cause) == ("cancelled", "request")
    assert list_processes_of(paths) == []


def test_run_that_was_taken_away_is_ended_and_nothing_is_written_of_it(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("hang"))
    worker = start_worker(paths)
    deadline = time.monotonic() + 60
    while len(list_processes_of(paths)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    run = paths.run(read_plan(paths).order[0])
    run.attempt(2).folder.mkdir()  # as another worker claims it
    assert worker.wait(timeout=60) == EXIT_FENCED
    assert not run.attempt(1).exit.exists()
    assert list_processes_of(paths) == []


@pytest.mark.slow
def test_check_runs_the_self_test_once_and_keeps_its_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("good", replicas=3))
    command = ["check", str(tmp_path / "own.toml"), "--store", str(tmp_path / "store")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "self-test: nothing varied: two runs are the same to the bit" in out
    assert "self-test: init ({seed.init}): another seed gives another result" in out
    assert "4 runs: 1 to train, 3 already done" in out
    assert main(command) == 0
    assert [len(paths.run(run).list_attempts()) for run in read_plan(paths).order] == [1, 1, 1, 0]


@pytest.mark.slow
def test_self_test_waits_for_a_slot_and_holds_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("good"))
    protocol, selftest = load_protocol(tmp_path / "own.toml"), read_plan(paths).selftest
    slot = make_slots(("cpu",), 1)[0].key
    assert selftest is not None
    held, holders = Lease(slot), list[Holder | None]()
    assert held.acquire(Holder(study="other", pid=1))

    def release(record: logging.LogRecord) -> bool:
        held.release()
        return "all 1 slots of this machine are held, by other" in record.getMessage()

    logger = logging.getLogger("engine.dispatch.executors.local")
    logger.addFilter(release)
    try:
        run_selftest(protocol, paths, selftest, tell=lambda _: holders.append(Lease(slot).read_holder()))
    finally:
        logger.removeFilter(release)
    assert len(caplog.records) == 1
    assert {holder.study for holder in holders if holder is not None} == {"own"}


@pytest.mark.slow
def test_check_refuses_a_program_that_ignores_its_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path, SCRIPT, add_arm("deaf", replicas=3))
    assert main(["check", str(tmp_path / "own.toml"), "--store", str(tmp_path / "store")]) == 2
    assert "refuses the program: {seed.init} changes nothing" in capsys.readouterr().err
