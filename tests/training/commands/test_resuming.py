"""A user's own program that goes on from its checkpoint: only where the self-test has proved that nothing changes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nondet_report
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import Resumption
from engine.study.run_state import read_result
from engine.study.selftest_record import ResumeTest, SelfTestRecord, describe_selftest
from engine.study.study_plan import read_plan
from engine.training.commands.reports import Reports
from engine.training.commands.resuming import STEADY_S, Cut, find_checkpoint
from tests.helpers.own_programs import add_arm, find_arm, list_processes_of, prepare, run_worker, start_worker
from tui.app.screens.runs_lines import describe_resumption

EPOCHS = 6

PROGRAM = """
import json, os, random, sys, time
mode, seed, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.path.insert(0, HELPER)
import nondet_report as report
rng, values, first = random.Random(seed), [0.0] * 36, 1
if "--resume" in sys.argv:
    if mode == "refuses":
        sys.exit("no such option: --resume")
    first, values, state = json.load(open(sys.argv[sys.argv.index("--resume") + 1]))
    first += 1
    if mode != "forgets":
        rng.setstate((state[0], tuple(state[1]), state[2]))
for epoch in range(first, EPOCHS + 1):
    values = [value + rng.gauss(0, 1) for value in values]
    time.sleep(0.15)
    report.epoch(epoch, accuracy=values[0])
    if mode != "keeps nothing":
        with open(out + "/new", "w") as file:
            json.dump([epoch, values, rng.getstate()], file)
        os.replace(out + "/new", report.checkpoint())
report.done([values[3 * i : 3 * i + 3] for i in range(12)], [i % 3 for i in range(12)])
""".replace("HELPER", repr(str(Path(nondet_report.__file__).parent))).replace("EPOCHS", str(EPOCHS))

RESUME = f'resume = ["--resume", "{{checkpoint}}"]\nepochs = {EPOCHS}'


def predict(tmp_path: Path, mode: str, seed: int) -> str:
    """Return the digest of what the program predicts by itself, undisturbed, as it is kept."""
    out = tmp_path / f"by hand {seed}"
    out.mkdir()
    words = [sys.executable, "-S", str(tmp_path / "program.py"), mode, str(seed), str(out)]
    subprocess.run(words, env={"NONDET_OUT": str(out)}, check=True)
    return hashlib.sha256((out / "predictions.npy").read_bytes()).hexdigest()


def digest_out(paths: StudyPaths, run_id: str, attempt: int) -> str:
    file = paths.run(run_id).attempt(attempt).folder / "out" / "predictions.npy"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_test(paths: StudyPaths) -> ResumeTest:
    test = find_record(paths.selftest, SelfTestRecord)
    assert test is not None
    assert test.refusal is None
    assert test.resume is not None
    assert describe_selftest(test)[-1].startswith("resume: ")
    return test.resume


def kill_in_the_middle(paths: StudyPaths, run_id: str) -> None:
    """Kill the worker, without warning, when it has seen two epochs of a run."""
    worker, first = start_worker(paths), paths.run(run_id).attempt(1)
    deadline = time.monotonic() + 100
    while len(read_epochs(first.epochs).records) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.kill()
    worker.wait()
    assert 2 <= len(read_epochs(first.epochs).records) < EPOCHS
    while list_processes_of(paths) and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_bits_where_that_is_proved(tmp_path: Path) -> None:
    paths = prepare(tmp_path, PROGRAM, add_arm("exact", replicas=3), settings=RESUME)
    run_id = find_arm(paths, "exact")[-1]
    kill_in_the_middle(paths, run_id)
    assert read_test(paths) == ResumeTest(identical=True)
    run_worker(paths)
    run = paths.run(run_id)
    result = read_result(run)
    assert result is not None
    assert (result.attempt, result.resumption, result.epochs) == (2, Resumption(attempt=1), EPOCHS)
    assert digest_out(paths, run_id, 2) == predict(tmp_path, "exact", 3)
    begun, ended = (read_epochs(run.attempt(number).epochs).records for number in (1, 2))
    assert [record.epoch for record in ended] == list(range(1, EPOCHS + 1))
    assert [record.test_accuracy for record in ended[:2]] == [record.test_accuracy for record in begun[:2]]
    assert "nondet-tui: goes on from the checkpoint of attempt 1" in run.attempt(2).log.read_text()
    assert all(len(paths.run(other).list_attempts()) == 1 for other in read_plan(paths).order if other != run_id)


@pytest.mark.slow
def test_killed_run_starts_from_its_beginning_where_going_on_changes_bits(tmp_path: Path) -> None:
    paths = prepare(tmp_path, PROGRAM, add_arm("forgets", replicas=3), settings=RESUME)
    run_id = find_arm(paths, "forgets")[-1]
    kill_in_the_middle(paths, run_id)
    tested = read_test(paths)
    assert not tested.identical
    assert "the run that went on gives other predictions (SHA-256 " in tested.reason
    run_worker(paths)
    result = read_result(paths.run(run_id))
    assert result is not None
    assert (result.attempt, result.resumption) == (2, None)
    assert digest_out(paths, run_id, 2) == predict(tmp_path, "forgets", 3)
    log = paths.run(run_id).attempt(2).log.read_text()
    assert "nondet-tui: from its beginning, as the self-test has not proved that going on is bit-identical" in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("refuses", "did not go on from it: the program ended with status 1; its last line: no such option: --resume"),
        ("keeps nothing", "the program left no {out}/checkpoint before it ended"),
    ],
)
def test_self_test_says_why_going_on_is_not_proved(tmp_path: Path, mode: str, told: str) -> None:
    paths = prepare(tmp_path, PROGRAM, add_arm(mode), settings=RESUME)
    run_worker(paths)
    tested = read_test(paths)
    assert not tested.identical
    assert told in tested.reason
    assert all(
        read_result(paths.run(run)) is not None for run in read_plan(paths).order
    )  # from its beginning after all


def test_test_of_going_on_is_a_run_of_its_own_for_each_list_of_words(tmp_path: Path) -> None:
    without = read_plan(prepare(tmp_path, PROGRAM, add_arm("exact")))
    one = read_plan(prepare(tmp_path, PROGRAM, add_arm("exact"), settings=RESUME))
    other = read_plan(prepare(tmp_path, PROGRAM, add_arm("exact"), settings=RESUME.replace("--res", "--from-res")))
    assert without.selftest is not None
    assert one.selftest is not None
    assert other.selftest is not None
    assert without.selftest.resumed is None
    assert one.order == (*without.order, one.selftest.resumed)
    assert one.selftest.resumed != other.selftest.resumed


def make_epoch(number: int) -> EpochRecord:
    return EpochRecord(
        epoch=number, train_loss=1.0 / number, test_accuracy=None, test_cross_entropy=None, lr=None, seconds=1.0
    )


def test_epochs_of_a_program_that_went_on_follow_those_before_its_checkpoint(tmp_path: Path) -> None:
    earlier = [make_epoch(1), make_epoch(2), make_epoch(3)]
    reports = Reports(tmp_path, earlier)
    lines = ['{"loss": 9}', '{"epoch": 9, "loss": 9}', '{"epoch": 3, "loss": 0.5}', '{"epoch": 4, "loss": 0.25}']
    (tmp_path / "epochs.jsonl").write_text("\n".join(lines) + "\n")
    records = reports.read_new()
    assert records[:2] == earlier[:2]
    assert [(record.epoch, record.train_loss) for record in records[2:]] == [(3, 0.5), (4, 0.25)]


def test_latest_checkpoint_is_found(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) is None
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-best"):
        (tmp_path / name).mkdir()
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint").write_text("x")
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoint"
    assert find_checkpoint(tmp_path / "nowhere") is None


def test_program_is_cut_once_its_checkpoint_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("engine.training.commands.resuming.time.monotonic", lambda: now[0])
    cut = Cut(tmp_path)
    assert not cut.is_due()
    assert "left no {out}/checkpoint" in cut.explain()
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    for number in range(3):  # it is being written
        (folder / f"{number}").write_text("x")
        assert not cut.is_due()
        now[0] += STEADY_S * 0.9
    assert not cut.is_due()
    assert "so soon after its first checkpoint" in cut.explain()
    now[0] += STEADY_S * 0.2
    assert cut.is_due()
    assert not cut.is_due()  # once


def test_checkpoint_that_replaced_another_is_whole(tmp_path: Path) -> None:
    cut = Cut(tmp_path)
    for number in (1, 2):
        (tmp_path / "new").write_text(str(number))
        (tmp_path / "new").rename(tmp_path / "checkpoint")
        assert cut.is_due() == (number == 2)


def test_app_says_from_where_a_run_went_on() -> None:
    assert describe_resumption(Resumption(attempt=2)).startswith("went on from the checkpoint of attempt 2")
    told = describe_resumption(Resumption(attempt=2, fault="its last line: \x1b[31m"))
    assert told.startswith("trained from its beginning: its last line: ")
    assert told.isprintable()
