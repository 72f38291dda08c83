"""What the supervisor does where its record cannot be written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.dispatch import supervisor
from engine.dispatch.supervisor import Supervisor
from engine.errors import StoreFullError
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from tests.helpers.studies import write_study


def test_full_disk_is_told_once_and_the_supervisor_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths: StudyPaths = write_study(tmp_path / "s")
    nothing: Any = SimpleNamespace(job=None)
    watcher = Supervisor(paths=paths, view=nothing, executor=nothing, places=[], measuring=nothing)
    full = True

    def write(path: Path, record: Any) -> None:
        if full:
            raise StoreFullError(f"{path}: no room")
        write_record(path, record)

    monkeypatch.setattr(supervisor, "write_record", write)
    for _ in range(5):
        watcher.write("running")
    assert caplog.text.count("no room") == 1
    full = False
    for _ in range(5):
        watcher.write("running")
    assert caplog.text.count("can be written again") == 1
    assert len(caplog.records) == 2
