"""Measures of more runs than files may be open."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from engine.errors import StudyError
from engine.metrics.replicas import read_labels, read_replica
from engine.study.metrics_record import StudyMeasures, read_metrics
from engine.study.paths import StudyPaths
from engine.study.records import read_record
from engine.study.study_plan import StudyPlan
from tests.helpers.arrays_study import put, write_plan
from tests.helpers.records import make_arm


@pytest.mark.slow
def test_more_runs_than_open_files_are_all_measured(paths: StudyPaths) -> None:
    """As large studies at the usual limit of 1,024 files: none may stay open or mapped."""
    names = [f"m{number}" for number in range(300)]
    write_plan(paths, [make_arm("One", names[:150], vary=("init",)), make_arm("Two", names[150:])], bootstrap=0)
    rng = np.random.default_rng(1)
    for name in names:
        put(paths, name, rng.normal(size=(60, 5)).astype(np.float32))
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731
    command_line = [sys.executable, "-P", "-m", "engine.metrics", str(paths.folder)]
    done = subprocess.run(command_line, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    content = read_metrics(paths.metrics)
    assert isinstance(content, StudyMeasures)
    assert [(arm.n, arm.damaged) for arm in content.arms] == [(150, 0), (150, 0)]


def test_too_many_open_files_are_no_damage(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StudyError, match="ulimit -n"):
        read_labels(paths.labels)
    with pytest.raises(StudyError, match="ulimit -n"):
        read_record(paths.plan, StudyPlan)
    monkeypatch.undo()
    labels = read_labels(paths.labels)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: refuse() if path.suffix == ".npy" else opened(path, *rest))
    with pytest.raises(StudyError, match="ulimit -n"):
        read_replica(paths, "r1", labels, {})
    assert not paths.run("r1").damage.exists()
