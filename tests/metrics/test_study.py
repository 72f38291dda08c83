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
from msgspec.structs import replace as replace_fields

from engine.catalog.measures import MEASURES
from engine.errors import StudyError
from engine.metrics import __main__ as command
from engine.metrics import diversity
from engine.metrics.checked import Basis, Seen, look_at, read_basis, write_basis
from engine.metrics.outputs import IMAGE_FORMULAS
from engine.metrics.replicas import read_labels, read_replica
from engine.metrics.study import measure_study
from engine.plan.records import PlannedArm
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.metrics_record import ArmMeasures, Estimate, StudyMeasures, read_metrics, write_metrics
from engine.study.paths import StudyPaths
from engine.study.records import read_record, write_record
from engine.study.run_state import read_state
from engine.study.study_plan import MeasuringSettings, StudyPlan, read_plan
from tests.helpers.json_files import write_json
from tests.helpers.records import make_arm, make_result, make_study

LABELS = np.arange(60) % 5
LOGITS = np.random.default_rng(3).normal(size=(6, 60, 5)).astype(np.float32) + 2 * np.eye(5, dtype=np.float32)[LABELS]
ARMS = [make_arm("Control", ["c1", "c2"]), make_arm("Init", ["r0", "r1", "r2", "r3"], vary=("init",))]


def put(paths: StudyPaths, run: str, logits: np.ndarray, **result: Any) -> None:
    make_folder(paths.run(run).folder)
    np.save(paths.run(run).predictions, logits)
    digests = {
        "weights_sha256": f"{hash(logits.tobytes()):x}",
        "predictions_sha256": hashlib.sha256(paths.run(run).predictions.read_bytes()).hexdigest(),
        "labels_sha256": hashlib.sha256(paths.labels.read_bytes()).hexdigest(),
    }
    write_record(paths.run(run).result, make_result(run=run, **digests | result))


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "study")
    make_folder(paths.folder)
    write_plan(paths, ARMS, bootstrap=50)
    np.save(paths.labels, LABELS)
    for run, number in {"c1": 5, "c2": 5, "r0": 0, "r1": 1, "r2": 2, "r3": 3}.items():
        put(paths, run, LOGITS[number])
    return paths


def write_plan(paths: StudyPaths, arms: list[PlannedArm], *, bootstrap: int) -> None:
    settings = MeasuringSettings(cka=False, cka_examples=2048, bootstrap=bootstrap)
    write_record(paths.plan, make_study(arms, metrics=settings))


def measure(paths: StudyPaths, previous: StudyMeasures | None = None, seen: Seen | None = None) -> StudyMeasures:
    content = measure_study(paths, read_plan(paths), previous=previous, seen=seen)
    write_metrics(paths.metrics, content)
    assert read_metrics(paths.metrics) == content, "what is written is what is read"
    return content


def test_entry_holds_the_measures_and_their_counts(paths: StudyPaths) -> None:
    content = measure(paths)
    assert (content.study, json.loads(paths.metrics.read_text())["v"]) == ("study", 1)
    control, init = content.arms
    expected = diversity(LOGITS[:4], LABELS, bootstrap=50)
    assert init.find("disagreement").value == expected.disagreement
    assert init.find("disagreement").interval == expected.disagreement_ci
    assert (init.n, init.planned, init.finished) == (4, 4, 4)
    assert (control.find("disagreement").value, control.identical_weights) == (0.0, True)
    assert init.identical_weights is False


def test_order_of_arms_and_replicas_is_the_plans(paths: StudyPaths) -> None:
    assert [arm.name for arm in measure(paths).arms] == ["Control", "Init"]
    assert measure(paths).arms[1].runs_used == ("r0", "r1", "r2", "r3")


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
    content = json.loads(paths.run("r1").result.read_text())
    del content["predictions_sha256"]
    paths.run("r1").result.write_text(json.dumps(content))


def damage_labels(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1], labels_sha256="0" * 64)


DAMAGES = {
    "other signs": (damage_signs, "predictions.npy is damaged: its SHA-256 is"),
    "no digest": (damage_digest, "result.json is damaged: Object missing required field `predictions_sha256`"),
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
    control, init = measure(paths).arms
    assert (init.n, init.planned, init.damaged) == (3, 4, 1)
    assert "run r1" in init.reasons["damaged"]
    assert said in init.reasons["damaged"]
    assert init.find("disagreement").value == diversity(LOGITS[[0, 2, 3]], LABELS).disagreement
    assert control.damaged == 0


def test_run_that_masks_a_class_is_measured_like_others(paths: StudyPaths) -> None:
    masked = LOGITS[1].copy()
    masked[np.arange(60), (LABELS + 1) % 5] = -np.inf
    put(paths, "r1", masked)
    init = measure(paths).arms[1]
    assert (init.n, init.damaged) == (4, 0)
    assert init.find("correlation").value == diversity(np.stack([LOGITS[0], masked, *LOGITS[2:4]]), LABELS).correlation
    assert init.reasons["pearson"] == "undefined: logits of −inf in replica 2"


def test_diverged_run_is_counted_and_left_out_where_it_is_not_finite(paths: StudyPaths) -> None:
    put(paths, "r1", np.full_like(LOGITS[1], np.nan), diverged=True)
    put(paths, "r2", LOGITS[2], diverged=True)
    init = measure(paths).arms[1]
    assert (init.n, init.diverged, init.damaged) == (3, 2, 0)
    assert "r1, r2" in init.reasons["diverged"]
    assert "1 of them" in init.reasons["diverged"]


def with_pairs(paths: StudyPaths) -> ArmMeasures:
    pairs = make_arm("Pairs", ["r0", "r1", "r2", "r3"], group=2)
    write_plan(paths, [*ARMS, pairs], bootstrap=50)
    return measure(paths).arms[2]


def test_ensembles_are_measured_over_the_mean_logits_of_their_members(paths: StudyPaths) -> None:
    entry = with_pairs(paths)
    means = np.stack([LOGITS[[0, 1]].astype(np.float64).mean(0), LOGITS[[2, 3]].astype(np.float64).mean(0)])
    expected = diversity(means.astype(np.float32), LABELS, bootstrap=50)
    assert entry.find("disagreement").value == expected.disagreement
    assert entry.find("accuracy_mean").value == expected.accuracy_mean
    assert (entry.n, entry.planned, entry.ensemble_size) == (2, 2, 2)
    assert entry.identical_weights is None


@pytest.mark.parametrize("name", DAMAGES)
def test_ensemble_without_one_of_its_members_is_left_out(paths: StudyPaths, name: str) -> None:
    DAMAGES[name][0](paths)
    entry = with_pairs(paths)
    assert (entry.n, entry.runs_used) == (1, ("r2+r3",))


def test_unfinished_runs_are_not_there_yet(paths: StudyPaths) -> None:
    for run in ("r1", "r2", "r3"):
        paths.run(run).result.unlink()
    init = measure(paths).arms[1]
    assert (init.n, init.planned, init.damaged) == (1, 4, 0)
    assert "at least two" in init.reasons["disagreement"]


def test_no_finished_run_is_said(paths: StudyPaths) -> None:
    for number in range(4):
        paths.run(f"r{number}").result.unlink()
    init = measure(paths).arms[1]
    assert init.n == 0
    assert init.reasons["accuracy_mean"] == "no replica has finished"


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"PK"])
def test_damaged_labels_are_the_reason(paths: StudyPaths, content: bytes | None) -> None:
    paths.labels.unlink()
    if content is not None:
        paths.labels.write_bytes(content)
    init = measure(paths).arms[1]
    assert init.find("disagreement").value is None
    assert "labels.npy" in init.reasons["disagreement"]


def test_labels_that_do_not_fit_are_the_reason(paths: StudyPaths) -> None:
    np.save(paths.labels, LABELS + 3)
    for number in range(4):
        put(paths, f"r{number}", LOGITS[number])
    assert "labels.npy does not fit" in measure(paths).arms[1].reasons["disagreement"]


def test_other_class_counts_are_the_reason(paths: StudyPaths) -> None:
    put(paths, "r1", LOGITS[1, :, :4])
    assert "different numbers of classes" in measure(paths).arms[1].reasons["disagreement"]


def mark(content: StudyMeasures) -> StudyMeasures:
    """The same measures with a disagreement in the last arm that tells whether it was taken over."""
    *others, arm = content.arms
    marked = replace_fields(arm, estimates=arm.estimates | {"disagreement": Estimate(-1.0, interval=(-2, 0))})
    return StudyMeasures(study=content.study, arms=(*others, marked))


def is_taken_over(content: StudyMeasures) -> bool:
    return content.arms[-1].find("disagreement") == Estimate(-1.0, interval=(-2, 0))


def test_unchanged_arm_is_taken_over_and_a_changed_one_is_not(paths: StudyPaths) -> None:
    first = mark(measure(paths))
    assert is_taken_over(measure(paths, first))
    damage_result(paths)
    assert not is_taken_over(measure(paths, first))


@pytest.mark.parametrize("missing", ["pearson", "ensemble_delta_ci", "accuracy_sd_ci", "diagnostics"])
def test_entry_without_a_measure_of_this_version_is_measured_anew(paths: StudyPaths, missing: str) -> None:
    first = measure(paths)
    content = json.loads(paths.metrics.read_text())
    del content["arms"][1][missing]
    write_json(paths.metrics, content)
    older = read_metrics(paths.metrics)
    assert isinstance(older, StudyMeasures)
    assert older != first
    assert measure(paths, older) == first


def measure_by_command(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> StudyMeasures:
    monkeypatch.setattr("sys.argv", ["engine.metrics", str(paths.folder)])
    assert command.main() == 0
    content = read_metrics(paths.metrics)
    assert isinstance(content, StudyMeasures)
    return content


def test_everything_is_measured_anew_by_another_formula(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metrics(paths.metrics, mark(measure_by_command(paths, monkeypatch)))
    assert is_taken_over(measure_by_command(paths, monkeypatch))
    declared = MEASURES["images"]
    newer = tuple(replace(m, version=m.version + 1) if m.key == "disagreement" else m for m in declared)
    monkeypatch.setitem(MEASURES, "images", newer)
    assert not is_taken_over(measure_by_command(paths, monkeypatch))


def test_figures_that_are_not_finite_have_a_reason_instead(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, figures in {"accuracy_sd": np.array([1.0, np.inf]), "disagreement": np.full((4, 4), np.nan)}.items():
        monkeypatch.setitem(IMAGE_FORMULAS.by_key, key, lambda outputs, figures=figures: figures)
    with np.errstate(invalid="ignore"):
        init = measure(paths).arms[1]
    assert init.find("accuracy_sd") == init.find("disagreement") == Estimate()
    names = ("accuracy_sd", "accuracy_sd_error", "disagreement", "disagreement_ci")
    assert {name: init.reasons[name] for name in names} == dict.fromkeys(names, "not finite")


@pytest.mark.parametrize("content", [None, "{", '{"v": 1}'])
def test_damaged_plan_is_a_clear_error(
    paths: StudyPaths, content: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.plan.unlink()
    if content is not None:
        paths.plan.write_text(content)
    monkeypatch.setattr("sys.argv", ["engine.metrics", str(paths.folder)])
    assert command.main() == 2
    assert "plan.json" in capsys.readouterr().err


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
    assert measure(paths).arms[1].n == 4


def test_changed_file_is_compared_again_although_measures_are_there(paths: StudyPaths) -> None:
    seen: Seen = {}
    first = measure(paths, seen=seen)
    assert read_back(paths, seen) == seen
    assert measure(paths, first, dict(seen)) == first
    damage_signs(paths)
    assert measure(paths, first, read_back(paths, seen)).arms[1].damaged == 1


def read_back(paths: StudyPaths, seen: Seen) -> Seen:
    write_basis(paths.checked, Basis("x", seen))
    assert read_basis(paths.checked).measures == "x"
    return read_basis(paths.checked).seen


def test_replaced_run_is_measured_anew(paths: StudyPaths) -> None:
    first = measure(paths)
    put(paths, "r1", LOGITS[4], attempt=2)
    init = measure(paths, first).arms[1]
    assert init.runs_used == first.arms[1].runs_used
    assert init.find("disagreement").value == diversity(LOGITS[[0, 4, 2, 3]], LABELS).disagreement


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
    first = measure(paths, seen=seen)
    damage_signs(paths)
    stale = seen | {"r1": replace(seen["r1"], look=look_at(paths.run("r1").predictions))}
    assert measure(paths, first, dict(stale)) == first, "nothing is measured, nothing is read"
    init = measure(paths, seen=dict(stale)).arms[1]
    assert (init.n, init.damaged) == (3, 1)
