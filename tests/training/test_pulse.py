"""The beats of a training: they go on while it stands still, say where, and end with it."""

from __future__ import annotations

import importlib.util
import signal
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from engine.study.beats import BeatRecord
from engine.study.records import find_record
from engine.training import pulse as pulses
from engine.training.pulse import Pulse

USER_CODE = """
import time
def forward(seconds):
    time.sleep(seconds)
"""


def load_user_code(folder: Path) -> ModuleType:
    (folder / "nets.py").write_text(USER_CODE)
    spec = importlib.util.spec_from_file_location("nets", folder / "nets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(file: Path) -> BeatRecord:
    found = find_record(file, BeatRecord)
    assert found is not None
    return found


def test_training_that_stands_still_is_said_to_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulses, "BEAT_S", 0.02)
    monkeypatch.setattr(pulses, "STILL_S", 0.1)
    module, file = load_user_code(tmp_path), tmp_path / "beat.json"
    with Pulse(lambda: [file], (tmp_path,)) as pulse:
        assert read(file).steps == 0, "the first beat is there at once"
        for _ in range(3):
            pulse.move()
        module.forward(0.4)
        found = read(file)
        assert found.steps == 3
        assert found.beaten - found.moved > 0.1
        assert found.place == "user's code, nets.py line 4 (forward)"
        pulse.move()
        pulse.end_epoch()
        time.sleep(0.06)
        found = read(file)
        assert (found.steps, found.epochs, found.place) == (4, 1, None)
        assert found.slowest_s == pytest.approx(0.4, abs=0.2)


def test_every_attempt_of_a_cohort_beats_and_none_after_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulses, "BEAT_S", 0.02)
    files = [tmp_path / "1"]
    with Pulse(lambda: files, ()) as pulse:
        files.append(tmp_path / "2")
        pulse.move()
        time.sleep(0.2)
    last = [read(file) for file in files]
    assert [beat.steps for beat in last] == [1, 1]
    time.sleep(0.1)
    assert [read(file) for file in files] == last
    assert not [thread for thread in threading.enumerate() if thread.name == "pulse"]


def test_the_training_keeps_its_signals(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    with Pulse(lambda: [tmp_path / "beat"], ()):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before
