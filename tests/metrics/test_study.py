"""metrics.json of a study folder: damaged, missing and diverged runs are named, the rest is measured."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import StudyError
from engine.metrics import __main__ as command
from engine.metrics import diversity
from engine.metrics.checked import Seen, format_seen, look_at, read_seen
from engine.metrics.replicas import read_labels, read_replica
from engine.metrics.study import measure_study
from engine.study.control import Control
from engine.study.files import make_folder, read_json, write_json
from engine.study.paths import StudyPaths
from engine.study.run_state import read_state
from tests.helpers.records import make_arm, write_plan, write_result

LABELS = np.arange(60) % 5
LOGITS = np.random.default_rng(3).normal(size=(6, 60, 5)).astype(np.float32) + 2 * np.eye(5, dtype=np.float32)[LABELS]
ARMS = [
    make_arm("Control", [], ["c1", "c2"]),
    make_arm("Init", ["init"], ["r0", "r1", "r2", "r3"]),
]


def put(paths: StudyPaths, run: str, logits: np.ndarray, **result: Any) -> None:
    make_folder(paths.run(run).folder)
    np.save(paths.run(run).predictions, logits)
    digests = {
        "weights_sha256": f"{hash(logits.tobytes()):x}",
        "predictions_sha256": hashlib.sha256(paths.run(run).predictions.read_bytes()).hexdigest(),
    }
    write_result(paths.run(run), **(digests | result))


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "study")
    write_plan(paths, ARMS, metrics={"bootstrap": 50})
    np.save(paths.labels, LABELS)
    for run in ("c1", "c2"):
        put(paths, run, LOGITS[5])
    for number in range(4):
        put(paths, f"r{number}", LOGITS[number])
    return paths


def measure(paths: StudyPaths, previous: dict[str, Any] | None = None) -> dict[str, Any]:
    content = measure_study(paths, previous=previous)
    json.dumps(content, allow_nan=False)
    return content


def test_entry_holds_the_measures_and_their_counts(paths: StudyPaths) -> None:
    content = measure(paths)
    assert (content["v"], content["study"]) == (1, "study")
    control, init = content["arms"]
    expected = diversity(LOGITS[:4], LABELS, bootstrap=50)
    assert init["disagreement"] == expected.disagreement
    assert tuple(init["disagreement_ci"]) == expected.disagreement_ci
    assert (init["n"], init["planned"], init["finished"]) == (4, 4, 4)
    assert (control["disagreement"], control["identical_weights"]) == (0.0, True)
    assert init["identical_weights"] is False


def test_order_of_arms_and_replicas_is_the_plans(paths: StudyPaths) -> None:
    assert [arm["name"] for arm in measure(paths)["arms"]] == ["Control", "Init"]
    assert measure(paths)["arms"][1]["runs_used"] == ["r0", "r1", "r2", "r3"]


def damage_result(paths: StudyPaths) -> None:
    paths.run("r1").result.write_text("")


def damage_missing(paths: StudyPaths) -> None:
    paths.run("r1").predictions.unlink()


def damage_truncated(paths: StudyPaths) -> None:
    content = paths.run("r1").predictions.read_bytes()
    paths.run("r1").predictions.write_bytes(content[: len(content) // 2])


def damage_empty(paths: StudyPaths) -> None:
    paths.run("r1").predictions.write_bytes(b"")


def damage_shape(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1, :30])


def damage_type(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1].astype(np.float64))


def damage_nan(paths: StudyPaths) -> None:
    logits = LOGITS[1].copy()
    logits[3, 2] = np.nan
    put(paths, "r1", logits)


def damage_signs(paths: StudyPaths) -> None:
    np.save(paths.run("r1").predictions, -LOGITS[1])


def damage_digest(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1], predictions_sha256=None)


def damage_labels(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1], labels_sha256="0" * 64)


DAMAGES = {
    "other signs": (damage_signs, "predictions.npy is damaged: its SHA-256 is"),
    "no digest": (damage_digest, "holds no digest"),
    "other labels": (damage_labels, "other labels than labels.npy holds"),
    "empty result": (damage_result, "result.json is empty"),
    "missing predictions": (damage_missing, "predictions.npy is missing"),
    "truncated predictions": (damage_truncated, "predictions.npy is damaged"),
    "empty predictions": (damage_empty, "predictions.npy is damaged"),
    "other shape": (damage_shape, "not float32 (60, C)"),
    "other type": (damage_type, "float64"),
    "not finite": (damage_nan, "not finite"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_run_is_named_and_the_rest_measured(paths: StudyPaths, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(paths)
    control, init = measure(paths)["arms"]
    assert (init["n"], init["planned"], init["damaged"]) == (3, 4, 1)
    assert "run r1" in init["reasons"]["damaged"]
    assert said in init["reasons"]["damaged"]
    assert init["disagreement"] == diversity(LOGITS[[0, 2, 3]], LABELS).disagreement
    assert control["damaged"] == 0


def test_diverged_run_is_counted_and_left_out_where_it_is_not_finite(paths: StudyPaths) -> None:
    put(paths, "r1", np.full_like(LOGITS[1], np.nan), diverged=True)
    put(paths, "r2", LOGITS[2], diverged=True)
    init = measure(paths)["arms"][1]
    assert (init["n"], init["diverged"], init["damaged"]) == (3, 2, 0)
    assert "r1, r2" in init["reasons"]["diverged"]
    assert "1 of them" in init["reasons"]["diverged"]


def with_pairs(paths: StudyPaths) -> dict[str, Any]:
    pairs = make_arm("Pairs", [], ["r0", "r1", "r2", "r3"], group=2)
    write_plan(paths, [*ARMS, pairs], metrics={"bootstrap": 50})
    return measure(paths)["arms"][2]


def test_ensembles_are_measured_over_the_mean_logits_of_their_members(paths: StudyPaths) -> None:
    entry = with_pairs(paths)
    means = np.stack([LOGITS[[0, 1]].astype(np.float64).mean(0), LOGITS[[2, 3]].astype(np.float64).mean(0)])
    expected = diversity(means.astype(np.float32), LABELS, bootstrap=50)
    assert entry["disagreement"] == expected.disagreement
    assert entry["accuracy_mean"] == expected.accuracy_mean
    assert (entry["n"], entry["planned"], entry["ensemble_size"]) == (2, 2, 2)
    assert entry["identical_weights"] is None


@pytest.mark.parametrize("name", DAMAGES)
def test_ensemble_without_one_of_its_members_is_left_out(paths: StudyPaths, name: str) -> None:
    DAMAGES[name][0](paths)
    entry = with_pairs(paths)
    assert (entry["n"], entry["runs_used"]) == (1, ["r2+r3"])


def test_unfinished_runs_are_not_there_yet(paths: StudyPaths) -> None:
    for run in ("r1", "r2", "r3"):
        paths.run(run).result.unlink()
    init = measure(paths)["arms"][1]
    assert (init["n"], init["planned"], init["damaged"]) == (1, 4, 0)
    assert "at least two" in init["reasons"]["disagreement"]


def test_no_finished_run_is_said(paths: StudyPaths) -> None:
    for number in range(4):
        paths.run(f"r{number}").result.unlink()
    init = measure(paths)["arms"][1]
    assert init["n"] == 0
    assert init["reasons"]["accuracy_mean"] == "no replica has finished"


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"PK"])
def test_damaged_labels_are_the_reason(paths: StudyPaths, content: bytes | None) -> None:
    paths.labels.unlink()
    if content is not None:
        paths.labels.write_bytes(content)
    init = measure(paths)["arms"][1]
    assert init["disagreement"] is None
    assert "labels.npy" in init["reasons"]["disagreement"]


def test_labels_that_do_not_fit_are_the_reason(paths: StudyPaths) -> None:
    np.save(paths.labels, LABELS + 3)
    assert "labels.npy does not fit" in measure(paths)["arms"][1]["reasons"]["disagreement"]


def test_other_class_counts_are_the_reason(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1, :, :4])
    assert "different numbers of classes" in measure(paths)["arms"][1]["reasons"]["disagreement"]


def test_unchanged_arm_is_taken_over_and_a_changed_one_is_not(paths: StudyPaths) -> None:
    first = measure(paths)
    first["arms"][1]["disagreement"] = "taken over"
    assert measure(paths, first)["arms"][1]["disagreement"] == "taken over"
    damage_result(paths)
    assert measure(paths, first)["arms"][1]["disagreement"] != "taken over"


@pytest.mark.parametrize("missing", ["pearson", "ensemble_delta_ci", "diagnostics"])
def test_entry_without_a_measure_of_this_version_is_measured_anew(paths: StudyPaths, missing: str) -> None:
    first = measure(paths)
    older = json.loads(json.dumps(first))
    del older["arms"][1][missing]
    assert measure(paths, older) == first


@pytest.mark.parametrize("content", [None, "{", '{"v": 1}'])
def test_damaged_plan_is_a_clear_error(paths: StudyPaths, content: str | None) -> None:
    paths.plan.unlink()
    if content is not None:
        paths.plan.write_text(content)
    with pytest.raises(StudyError, match=r"plan\.json"):
        measure_study(paths, previous=None)


def test_command_writes_metrics_once(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["engine.metrics", str(paths.folder)])
    assert command.main() == 0
    stamp = paths.metrics.stat().st_mtime_ns
    assert command.main() == 0
    assert paths.metrics.stat().st_mtime_ns == stamp
    monkeypatch.setattr("sys.argv", ["engine.metrics", str(paths.folder / "no")])
    assert command.main() == 2
    assert "plan.json" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["engine.metrics"])
    assert command.main() == 2


def test_file_that_does_not_match_its_digest_fails_its_run_until_it_is_trained_again(paths: StudyPaths) -> None:
    run = paths.run("r1")
    make_folder(run.attempt(1).folder)
    state = lambda: read_state(run, control=Control(), session="s", run_id="r1")  # noqa: E731
    assert state().status == "done"
    damage_signs(paths)
    measure(paths)
    assert (state().status, state().retriable) == ("failed", True)
    assert "SHA-256" in str(state().reason)
    make_folder(run.attempt(2).folder)
    put(paths, "r1", LOGITS[1], attempt=2)
    assert state().status == "done"
    assert measure(paths)["arms"][1]["n"] == 4


def test_changed_file_is_compared_again_although_measures_are_there(paths: StudyPaths) -> None:
    seen: Seen = {}
    first = measure_study(paths, previous=None, seen=seen)
    assert read_back(paths, seen) == seen
    assert measure_study(paths, previous=first, seen=dict(seen)) == first
    damage_signs(paths)
    assert measure_study(paths, previous=first, seen=read_back(paths, seen))["arms"][1]["damaged"] == 1


def read_back(paths: StudyPaths, seen: Seen) -> Seen:
    write_json(paths.checked, format_seen(seen))
    return read_seen(paths.checked)


def test_replaced_run_is_measured_anew(paths: StudyPaths) -> None:
    first = measure(paths)
    put(paths, "r1", LOGITS[4], attempt=2)
    init = measure(paths, first)["arms"][1]
    assert init["runs_used"] == first["arms"][1]["runs_used"]
    assert init["disagreement"] == diversity(LOGITS[[0, 4, 2, 3]], LABELS).disagreement


@pytest.mark.slow
def test_more_runs_than_open_files_are_all_measured(paths: StudyPaths) -> None:
    """As large studies at the usual limit of 1,024: no file may stay open or mapped."""
    names = [f"m{number}" for number in range(1200)]
    write_plan(paths, [make_arm("One", ["init"], names[:600]), make_arm("Two", [], names[600:])])
    rng = np.random.default_rng(1)
    for name in names:
        put(paths, name, rng.normal(size=(60, 5)).astype(np.float32))
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))  # noqa: E731
    command_line = [sys.executable, "-P", "-m", "engine.metrics", str(paths.folder)]
    done = subprocess.run(command_line, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    entries = json.loads(paths.metrics.read_text())["arms"]
    assert [(entry["n"], entry["damaged"]) for entry in entries] == [(600, 0), (600, 0)]


def test_too_many_open_files_are_no_damage(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StudyError, match="ulimit -n"):
        read_labels(paths.labels)
    with pytest.raises(StudyError, match="ulimit -n"):
        read_json(paths.plan)
    monkeypatch.undo()
    labels = read_labels(paths.labels)
    opened = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path) if path.suffix == ".npy" else opened(path))
    with pytest.raises(StudyError, match="ulimit -n"):
        read_replica(paths, "r1", labels, {})
    assert not paths.run("r1").damage.exists()


@pytest.mark.parametrize("content", [None, b"PK", "other"])
def test_lost_labels_cost_one_run_that_writes_them_anew(paths: StudyPaths, content: bytes | str | None) -> None:
    digest = hashlib.sha256(paths.labels.read_bytes()).hexdigest()
    for run in ("c1", "c2"):
        put(paths, run, LOGITS[5], labels_sha256=digest)
    for number in range(4):
        put(paths, f"r{number}", LOGITS[number], labels_sha256=digest)
    measure(paths)
    assert not list(paths.runs.glob("*/damage.json"))
    if content == "other":
        np.save(paths.labels, LABELS[::-1])
    else:
        paths.labels.unlink()
        paths.labels.write_bytes(content) if isinstance(content, bytes) else None
    for _ in range(2):
        measure(paths)
        assert [path.parent.name for path in paths.runs.glob("*/damage.json")] == ["c1"], "one, however often"
    assert "labels.npy" in paths.run("c1").damage.read_text()


def test_file_that_looks_unchanged_is_compared_again_before_it_is_measured(paths: StudyPaths) -> None:
    """As damage on a disk, or in a copy that keeps times: size and times are those of the file that was compared."""
    seen: Seen = {}
    first = measure_study(paths, previous=None, seen=seen)
    damage_signs(paths)
    stale = seen | {"r1": replace(seen["r1"], look=look_at(paths.run("r1").predictions))}
    assert measure_study(paths, previous=first, seen=dict(stale)) == first, "nothing is measured, nothing is read"
    init = measure_study(paths, previous=None, seen=dict(stale))["arms"][1]
    assert (init["n"], init["damaged"]) == (3, 1)
