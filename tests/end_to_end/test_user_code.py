"""Users' modules that keep state: which run comes before which must change no bit, and every change of code is seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.real_study import Study, kill, protocol_text, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NETS = """
import functools, torch
from torch import nn
import helper

def plain(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, helper.WIDTH), nn.Linear(helper.WIDTH, classes))

@functools.cache
def cached(input_shape, classes): return plain(input_shape, classes)

CALLS = []
def counting(input_shape, classes):
    CALLS.append(1)
    width = 4 + len(CALLS)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, classes))

def double(input_shape, classes, wide=False):
    if wide: torch.set_default_dtype(torch.float64)
    return plain(input_shape, classes).float()
"""

DATA = """
import numpy as np
CALLS = []
def load(root):
    CALLS.append(1)
    rng = np.random.default_rng(1)
    x, y = rng.random((400, 1, 8, 8), dtype=np.float32) * len(CALLS), rng.integers(10, size=400)
    return dict(train_inputs=x[:200], train_labels=y[:200], test_inputs=x[200:400], test_labels=y[200:400])
"""


def write(study: Study, target: str, *arms: str, data: bool = False) -> None:
    folder = study.file.parent
    (folder / "nets.py").write_text(NETS)
    (folder / "helper.py").write_text("WIDTH = 8\n")
    (folder / "userdata.py").write_text(DATA)
    text = protocol_text(*(arms or ("Init", "Shuffle"))).replace(
        'preset = "resnet6"\nwidth = 0.25', f'target = "nets:{target}"'
    )
    if data:
        text = text.replace('preset = "digits"\ntrain_size = 200', 'target = "userdata:load"')
    study.file.write_text(text)


def test_order_of_runs_changes_no_bit(study: Study, tmp_path: Path) -> None:
    """Of networks that are made once, or count how often they are made, on data that count, too."""
    write(study, "cached", data=True)
    arm = '[[arm]]\nname = "Counting"\nvary = ["init"]\nmodel = { target = "nets:counting" }\n'
    study.file.write_text(study.file.read_text() + arm)
    alone = Study(study.file, tmp_path / "alone")
    assert study.run("--slots", "2").returncode == 0
    done = alone.run()
    assert done.returncode == 0, done.stderr
    assert len(study.digests()) == 8
    assert study.digests() == alone.digests()
    assert set(study.attempts().values()) == {1}


def test_default_type_of_one_arm_does_not_reach_another(study: Study) -> None:
    write(study, "double")
    arms = '[[arm]]\nname = "Wide"\nvary = ["init"]\nmodel = { args = { wide = true } }\n'
    study.file.write_text(study.file.read_text() + arms)
    done = study.run("--replicas", "2")
    assert done.returncode == 0, done.stderr
    assert [arm["n"] for arm in study.metrics()] == [2, 2, 2]


def test_changed_helper_makes_new_runs(study: Study) -> None:
    write(study, "plain", "Init")
    assert study.run("--replicas", "1").returncode == 0
    before = study.digests()
    (study.file.parent / "helper.py").write_text("WIDTH = 64\n")
    done = study.run("--replicas", "1")
    assert done.returncode == 0
    assert "0 of them already done" in done.stderr
    assert len(set(study.digests()) - set(before)) == len(before)


def test_code_that_changes_while_it_is_trained_is_named(study: Study) -> None:
    write(study, "plain")
    study.file.write_text(study.file.read_text().replace("epochs = 4", "epochs = 300"))
    process = study.start("--replicas", "2")
    wait_for(lambda: any(path.stat().st_size for path in study.folder.glob("runs/*/attempts/01/epochs.jsonl")))
    (study.file.parent / "helper.py").write_text("WIDTH = 9\n")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "have changed since this run was planned" in err


def test_import_that_cannot_be_seen_is_refused_before_anything_is_written(study: Study) -> None:
    write(study, "plain")
    nets = (study.file.parent / "nets.py").read_text()
    (study.file.parent / "nets.py").write_text(
        nets.replace("import helper", "import importlib\nhelper = importlib.import_module('helper')")
    )
    done = study.run()
    assert done.returncode == 2
    assert "add `import helper`" in done.stderr
    assert not study.store.exists()


def test_copy_ends_with_its_worker_and_its_run_is_tried_again(study: Study) -> None:
    """Also one that hangs in a user's code: it would hold the slot for ever."""
    write(study, "plain")
    nets = (study.file.parent / "nets.py").read_text()
    hang = "\nimport os, time\nif os.path.exists(os.path.dirname(__file__) + '/hang'): time.sleep(1000)\n"
    (study.file.parent / "nets.py").write_text(nets + hang)
    process = study.start("--replicas", "2")
    wait_for((study.folder / "supervisor.json").exists)
    (study.file.parent / "hang").touch()
    wait_for(lambda: len(study.workers()) == 2)
    time.sleep(2.0)
    (study.file.parent / "hang").unlink()
    kill([pid for pid in study.workers() if os.getpgid(pid) == pid])
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert sorted(study.attempts().values()) == [1, 1, 2]
    assert study.workers() == []


ENDS = {
    "exit": "os._exit(3)",
    "status": "os._exit(73)",
    "leave": "raise SystemExit",
    "fault": "os.kill(os.getpid(), 11)",
}


def test_code_that_ends_its_process_costs_its_own_runs_alone(study: Study) -> None:
    """Each way to end in an arm of its own."""
    write(study, "plain", "Init")
    text, code = study.file.read_text(), "import os\nimport torch\nfrom nets import plain\n"
    for name, end in ENDS.items():
        text += f'[[arm]]\nname = "{name}"\nvary = ["init"]\nmodel = {{ target = "ends:{name}" }}\n'
        code += f"def {name}(input_shape, classes):\n    if torch.initial_seed() == 2: {end}\n"
        code += "    return plain(input_shape, classes)\n"
    study.file.write_text(text)
    (study.file.parent / "ends.py").write_text(code)
    done = study.run("--replicas", "2")
    assert done.returncode == 1, done.stderr
    assert [arm["n"] for arm in study.metrics()] == [2, 1, 1, 1, 1]
    assert study.workers() == []


def test_check_of_code_that_sleeps_names_it_and_can_be_interrupted(study: Study) -> None:
    write(study, "plain")
    (study.file.parent / "nets.py").write_text(
        "import time\nopen('SLEEPS', 'w').close()\ntime.sleep(1000)\n".replace(
            "SLEEPS", str(study.file.parent / "sleeps")
        )
    )
    command = [sys.executable, "-P", "-c", "import sys, tui.cli; sys.exit(tui.cli.main())", "check", str(study.file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "runs code of nets.py, imported now; Ctrl-C ends it\n"
        wait_for((study.file.parent / "sleeps").exists)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "", "and nobody holds its output any more"
        assert process.wait(30) == 130
        assert time.monotonic() - started < 20
