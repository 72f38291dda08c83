"""metrics.json of a study folder: damaged, missing and diverged runs are named, the rest is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import StudyError
from engine.metrics import __main__ as command
from engine.metrics import diversity
from engine.metrics.study import measure_study
from engine.store.files import make_folder, write_json
from engine.store.paths import StudyPaths

LABELS = np.arange(60) % 5
LOGITS = np.random.default_rng(3).normal(size=(6, 60, 5)).astype(np.float32) + 2 * np.eye(5, dtype=np.float32)[LABELS]
ARMS = [
    {"name": "Control", "vary": [], "runs": ["c1", "c2"]},
    {"name": "Init", "vary": ["init"], "runs": ["r0", "r1", "r2", "r3"]},
]


def put(paths: StudyPaths, run: str, logits: np.ndarray, **result: Any) -> None:
    make_folder(paths.run(run).folder)
    np.save(paths.run(run).predictions, logits)
    digest = f"{hash(logits.tobytes()):x}"
    write_json(paths.run(run).result, {"v": 1, "run": run, "diverged": False, "weights_sha256": digest} | result)


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "study")
    make_folder(paths.folder)
    write_json(paths.plan, {"v": 1, "study": "study", "arms": ARMS, "metrics": {"bootstrap": 50}})
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
    np.save(paths.run("r1").predictions, LOGITS[1, :30])


def damage_type(paths: StudyPaths) -> None:
    np.save(paths.run("r1").predictions, LOGITS[1].astype(np.float64))


def damage_nan(paths: StudyPaths) -> None:
    logits = LOGITS[1].copy()
    logits[3, 2] = np.nan
    np.save(paths.run("r1").predictions, logits)


DAMAGES = {
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
    pairs = {"name": "Pairs", "vary": [], "runs": ["r0", "r1", "r2", "r3"], "group": 2}
    write_json(paths.plan, {"v": 1, "study": "study", "arms": [*ARMS, pairs], "metrics": {"bootstrap": 50}})
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
