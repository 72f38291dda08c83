"""`diverge` on a study that workers trained: the files, both trained again, the answer, and a run that strayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.study.epochs import format_epoch, read_epochs
from engine.study.paths import StudyPaths
from engine.study.study_plan import read_plan
from tests.helpers.real_study import HEAD, Study, protocol_text

pytestmark = pytest.mark.slow


def test_runs_of_a_study_part_where_they_were_made_to(tmp_path: Path) -> None:
    head = (
        HEAD.replace("epochs = 4", "epochs = 2")
        .replace("replicas = 3", "replicas = 2")
        .replace("resnet6", "hidden-conv")
    )
    study = Study(tmp_path / "small.toml", tmp_path / "store")
    study.file.write_text(protocol_text("Control", "Shuffle", head=head.replace("width = 0.25\n", "")))
    assert study.run().returncode == 0
    words = ("--store", str(study.store), "--format", "json")
    apart = study.run_command("diverge", "small:Shuffle", "1", "2", *words)
    found = json.loads(apart.stdout)
    assert "by their files they part in epoch 1" in apart.stderr
    assert (found["epoch"], found["step"], found["kind"], found["recorded"]) == (1, 0, "data", 1)
    assert found["strayed"] == [None, None]
    assert found["growth"][-1]["epoch"] == 2
    # A file says that a control's replica was another one from epoch 2 on: trained again it is as the other.
    paths = StudyPaths(study.folder)
    control = next(arm for arm in read_plan(paths).arms if arm.name == "Control")
    epochs = paths.run(control.runs[1]).attempt(1).epochs
    first, second = read_epochs(epochs).records
    assert second.weights is not None
    changed = format_epoch(second).replace(second.weights.encode(), b"0" * 16)
    epochs.write_bytes(format_epoch(first) + changed)
    equal = study.run_command("diverge", "small:Control", "1", "2", *words)
    found = json.loads(equal.stdout)
    assert (found.get("epoch"), found["recorded"], found["strayed"]) == (None, 2, [None, 2])
