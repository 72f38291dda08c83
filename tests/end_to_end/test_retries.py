"""One run of several that failed is tried again, with its supervisor and its worker killed in the middle."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine.study.paths import StudyPaths
from engine.study.view import StudyView
from tests.helpers.real_study import Study, all_pids, command_line, kill, protocol_text, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NETS = """
import os, time
from torch import nn

HERE = os.path.dirname(__file__)

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)), 0
    def forward(self, x):
        self.calls += 1
        if self.calls > 5 and os.path.exists(HERE + "/fail"):
            raise ValueError("not today")
        if self.calls == 20 and os.path.exists(HERE + "/hang"):
            open(HERE + "/hangs", "w").close()
            time.sleep(1000)
        return self.layers(x)

def build(input_shape, classes): return Net(classes)
"""


def retry(study: Study, run: str, *, seen: int) -> str:
    """Ask as a viewer does, which ends then; return why it is refused, empty where it is not."""
    code = (
        "import sys; from pathlib import Path; from engine.dispatch.start import retry_run; "
        "from engine.study.paths import StudyPaths; "
        "retry_run(StudyPaths(Path(sys.argv[1])), sys.argv[2], seen=int(sys.argv[3]))"
    )
    command = [sys.executable, "-P", "-c", code, str(study.folder), run, str(seen)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200).stderr


def test_one_run_is_tried_again_and_nothing_is_lost_or_doubled(study: Study) -> None:
    folder, paths = study.file.parent, StudyPaths(study.folder)
    (folder / "nets.py").write_text(NETS)
    text = protocol_text("Init").replace('preset = "resnet6"\nwidth = 0.25', 'target = "nets:build"')
    study.file.write_text(text)
    (folder / "fail").touch()
    assert study.run().returncode == 1
    assert set(study.attempts().values()) == {1}
    (folder / "fail").unlink()
    (folder / "hang").touch()

    run = sorted(study.attempts())[1]
    assert not retry(study, run, seen=1)
    wait_for((folder / "hangs").exists, timeout_s=200)
    assert "is running" in retry(study, run, seen=2)
    kill([pid for pid in all_pids() if str(study.folder) in command_line(pid)])
    (folder / "hang").unlink()
    wait_for(lambda: StudyView(paths, measures=()).refresh().runs[run].state.status == "lost", timeout_s=200)
    assert not retry(study, run, seen=2)
    again = retry(study, run, seen=2)
    assert not again or "is running" in again or "is done" in again
    wait_for(lambda: study.supervisor() is None, timeout_s=200)
    others = set(study.attempts()) - {run}
    assert study.attempts() == {run: 3} | dict.fromkeys(others, 1)
    assert set(study.results()) == {run}

    assert study.run().returncode == 0, "the command trains what is left"
    assert study.attempts() == {run: 3} | dict.fromkeys(others, 2)
    undisturbed = Study(study.file, folder / "undisturbed")
    assert undisturbed.run().returncode == 0
    assert study.digests() == undisturbed.digests()
    assert json.loads((paths.run(run).attempt(1).exit).read_text())["cause"] == "fault", "attempts are kept"
