"""A study of a user's own program under kill -9, and on other numbers of slots: nothing is left, lost or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import nondet_report
from tests.helpers.real_study import (
    Study,
    all_pids,
    command_line,
    finish,
    kill,
    stop_everything,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAM = """
import random, subprocess, sys, time
seed, out = int(sys.argv[1]), sys.argv[2]
sys.path.insert(0, HELPER)
import nondet_report as report
subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", out], start_new_session=True)
rng = random.Random(seed)
for epoch in range(3):
    time.sleep(0.3)
    report.epoch(epoch + 1, loss=rng.random())
report.done([[rng.gauss(0, 1) for _ in range(3)] for _ in range(12)], [i % 3 for i in range(12)])
""".replace("HELPER", repr(str(Path(nondet_report.__file__).parent)))

PROTOCOL = """
[protocol]
name = "small"
replicas = 5
[command]
run = ["{python}", "-S", "train.py", "{seed.init}", "{out}"]
files = ["train.py"]
epochs = 3
[metrics]
bootstrap = 200
[dispatch]
devices = "cpu"
slots_per_device = 2
[[arm]]
name = "Weights"
vary = ["init"]
"""


def find_programs(study: Study) -> list[int]:
    """Return the user's programs, their keepers, and what they have started."""
    runs = str(study.folder / "runs")
    return [pid for pid in all_pids() if runs in command_line(pid)]


def digest_predictions(study: Study) -> dict[str, str]:
    files = study.folder.glob("runs/*/predictions.npy")
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_killed_study_leaves_no_program_and_trains_none_twice(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "small.toml").write_text(PROTOCOL)
    alone, study = (Study(tmp_path / "small.toml", tmp_path / store) for store in ("one slot", "two slots"))
    try:
        assert alone.run("--slots", "1").returncode == 0
        process = study.start()
        wait_for(lambda: len(study.results()) >= 3 and len(study.workers()) == 2 and len(find_programs(study)) >= 6)
        before, programs = study.results(), find_programs(study)
        kill([study.supervisor(), *study.workers()])
        wait_for(lambda: not set(programs) & set(find_programs(study)))
        assert finish(process)[0] in (0, 1)  # its supervisor is gone; the same command goes on
        assert study.run().returncode == 0
        assert find_programs(study) == []
        assert before.items() <= study.results().items()
        tries = study.attempts()
        assert all(tries[run] == 1 for run in before)
        assert sum(tries.values()) <= len(tries) + 2  # the two that were cut
        assert digest_predictions(study) == digest_predictions(alone)
    finally:
        stop_everything(alone)
        stop_everything(study)
