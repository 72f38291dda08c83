"""Nothing is waited for in vain: hung and halted processes are named, ended and replaced; cancel ends what it finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.study.beats import LOST_S, BeatRecord, write_beat
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, current_owner, is_alive, read_boot_id
from engine.study.records import write_record
from engine.study.supervisor_record import watch_supervisor
from tests.helpers.real_study import Study, all_pids, command_line, kill, protocol_text, wait_for
from tests.helpers.records import make_supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NETS = """
import os, time
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)), 0
    def forward(self, x):
        self.calls += 1
        if self.calls == 20 and os.path.exists(os.path.dirname(__file__) + "/hang"):
            time.sleep(1000)
        return self.layers(x)

def build(input_shape, classes): return Net(classes)
"""


Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start(study: Study) -> Iterator[Start]:
    """Start the command in the background; however the test ends, it does not go on."""
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        started.append(study.start())
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def hanging(study: Study) -> Study:
    """A study whose first run hangs in its third epoch as long as a file is there."""
    folder = study.file.parent
    (folder / "nets.py").write_text(NETS)
    (folder / "hang").touch()
    text = protocol_text("Init").replace('preset = "resnet6"\nwidth = 0.25', 'target = "nets:build"')
    study.file.write_text(text.replace("checkpoint_s = 0", "checkpoint_s = 0\nstall_s = 9"))
    return study


def release(study: Study) -> None:
    (study.file.parent / "hang").unlink()


def find_owner(pid: int) -> Owner:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return replace(current_owner(), pid=pid, start_ticks=int(fields[19]))


def hangs(study: Study, attempts: int = 1) -> bool:
    """Tell whether so many attempts have hung, those that were ended since among them."""
    beats = study.folder.glob("runs/*/attempts/*/beat.json")
    return sum(b"\"user's code" in path.read_bytes() for path in beats) == attempts


def test_hang_in_a_users_network_is_named_ended_and_tried_again(hanging: Study, start: Start, tmp_path: Path) -> None:
    process = start()
    wait_for(lambda: hangs(hanging))
    release(hanging)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    exits = [path.read_text() for path in hanging.folder.glob("runs/*/attempts/*/exit.json")]
    assert len(exits) == 1
    assert "infrastructure" in exits[0]
    assert "no sign for" in exits[0]
    assert "user's code, nets.py line 12 (forward)" in exits[0]
    assert sorted(hanging.attempts().values()) == [1, 1, 2]
    undisturbed = Study(hanging.file, tmp_path / "undisturbed")
    assert undisturbed.run().returncode == 0
    assert hanging.digests() == undisturbed.digests()


def hang_without_supervisor(hanging: Study, start: Start, *, attempts: int = 1) -> None:
    """Have a worker hang, after others that did, whose supervisor and viewer are gone."""
    process = start()
    wait_for(lambda: hangs(hanging, attempts))
    process.kill()
    kill([hanging.supervisor()])
    process.communicate()


def test_worker_that_hangs_without_a_supervisor_is_ended_by_cancel_and_by_the_next_one(
    hanging: Study, start: Start
) -> None:
    hang_without_supervisor(hanging, start)
    done = hanging.run_command("cancel", str(hanging.folder))
    assert "stopped" in done.stderr
    assert "ended by force" in done.stderr
    assert hanging.workers() == []
    hang_without_supervisor(hanging, start, attempts=2)
    release(hanging)
    done = hanging.run()
    assert done.returncode == 0, done.stderr
    assert sorted(hanging.attempts().values()) == [1, 2, 2], "the run that went on from its checkpoint does not hang"


def test_halted_metrics_process_ends_no_study(study: Study, start: Start) -> None:
    study.file.write_text(protocol_text("Init").replace("checkpoint_s = 0", "checkpoint_s = 0\nstall_s = 5"))
    process = start()

    def halt() -> bool:
        found = [
            pid for pid in all_pids() if "engine.metrics" in (line := command_line(pid)) and str(study.folder) in line
        ]
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        return bool(found)

    wait_for(halt)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert [arm["n"] for arm in study.metrics()] == [3]


def test_cancel_wakes_a_halted_supervisor_and_its_workers(study: Study, start: Start) -> None:
    study.file.write_text(protocol_text("Init").replace("epochs = 4", "epochs = 5000"))
    process = start()
    wait_for(lambda: list(study.folder.glob("runs/*/attempts/01/epochs.jsonl")))
    halted = [study.supervisor(), *study.workers()]
    for pid in halted:
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    status = study.run_command("status", str(study.folder))
    assert "halted by a signal" in status.stdout
    done = study.run_command("cancel", str(study.folder))
    assert "stopped" in done.stderr
    process.communicate(timeout=60)
    assert study.workers() == []
    assert study.supervisor() is None


def test_cancel_stops_a_study_whose_control_folder_takes_no_request(study: Study, start: Start) -> None:
    """As on a full disk: the processes are asked by signal."""
    study.file.write_text(protocol_text("Init").replace("epochs = 4", "epochs = 5000"))
    process = start()
    wait_for(lambda: list(study.folder.glob("runs/*/attempts/01/epochs.jsonl")))
    process.kill()
    process.communicate()
    control = study.folder / "control"
    control.rename(study.folder / "earlier")
    control.touch()
    done = study.run_command("cancel", str(study.folder))
    assert "asked to end by signal instead" in done.stderr
    assert "stopped" in done.stderr
    assert study.workers() == []
    assert study.supervisor() is None


def test_cancel_waits_for_a_study_that_is_just_starting(study: Study, start: Start) -> None:
    study.file.write_text(protocol_text("Init").replace("epochs = 4", "epochs = 5000"))
    process = start()
    wait_for((study.folder / "plan.json").exists)
    done = study.run_command("cancel", str(study.folder))
    assert "stopped" in done.stderr, done.stderr
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was cancelled by somebody else" in err
    assert study.workers() == []


def test_supervisor_that_has_hung_is_replaced(trained: Study) -> None:
    complete = set(trained.results())
    next(trained.folder.glob("runs/*/result.json")).unlink()
    paths = StudyPaths(trained.folder)
    hung = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
    owner = find_owner(hung.pid)
    write_record(paths.supervisor, make_supervisor(owner))
    now = time.monotonic()
    beat = BeatRecord(boot_id=read_boot_id(), beaten=now - LOST_S - 5, moved=now - LOST_S - 5)
    write_beat(paths.supervisor_beat, beat)
    supervision = watch_supervisor(paths)
    assert supervision.hung
    assert "has given no sign for 12" in str(supervision.obstacle)
    done = trained.run()
    assert done.returncode == 0, done.stderr
    assert hung.wait(timeout=5) == -signal.SIGKILL
    assert is_alive(owner) is False
    assert set(trained.results()) == complete
