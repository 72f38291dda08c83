"""metrics.json of a study folder: damaged, missing and diverged runs are named, the rest is measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as replace_fields

from engine.catalog.measures import MEASURES
from engine.errors import StudyError
from engine.metrics import __main__ as command
from engine.metrics import diversity
from engine.metrics.arm_comparison import compare_arms
from engine.metrics.checked import Basis, Seen, look_at, read_basis, write_basis
from engine.metrics.outputs import IMAGE_FORMULAS
from engine.metrics.study import measure_study
from engine.study.control import Control
from engine.study.estimate import Estimate
from engine.study.files import make_folder
from engine.study.metrics_record import ArmMeasures, StudyMeasures, read_metrics, write_metrics
from engine.study.paths import StudyPaths
from engine.study.run_state import read_state
from engine.study.study_plan import read_plan
from tests.helpers.arrays_study import ARMS, LABELS, LOGITS, measure, put, write_plan
from tests.helpers.json_files import write_json
from tests.helpers.records import make_arm


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


def test_whoever_waits_is_told_how_many_arms_are_measured(paths: StudyPaths) -> None:
    told: list[tuple[int, int]] = []
    plan, seen = read_plan(paths), Seen()
    first = measure_study(paths, plan, seen=seen, tell=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2)]
    measure_study(paths, plan, previous=first, seen=seen, tell=lambda done, total: told.append((done, total)))
    assert len(told) == 2, "what is known is not measured again"


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
    assert "replica 2, run r1: " in init.reasons["damaged"]
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
    assert init.reasons["diverged"].startswith("replicas 2, 3 diverged"), "as people count them, not by their hashes"
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


def test_row_of_a_grid_has_figures_without_errors_and_is_not_compared(paths: StudyPaths) -> None:
    grid = make_arm("Grid", ["r0", "r1", "r2", "r3"], crossed=(("init", 2), ("shuffle", 2)))
    write_plan(paths, [*ARMS, grid], bootstrap=50)
    first = measure(paths)
    for content in (first, measure(paths, first)):
        entry, expected = content.arms[2], diversity(LOGITS[:4], LABELS, bootstrap=50)
        assert entry.find("accuracy_sd") == Estimate(expected.accuracy_sd)
        assert entry.find("disagreement") == Estimate(expected.disagreement)
        assert content.arms[1].find("disagreement").interval is not None
    with pytest.raises(StudyError, match="Grid: is a grid, whose runs share seeds"):
        compare_arms((paths, "Grid"), (paths, "Init"), None, None)


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
    paths.labels.unlink()  # the first run to finish writes them
    assert measure(paths).arms[1].reasons["accuracy_mean"] == "no replica has finished"


def test_replicas_that_all_diverged_have_finished(paths: StudyPaths) -> None:
    for number in range(4):
        put(paths, f"r{number}", np.full_like(LOGITS[number], np.nan), diverged=True)
    init = measure(paths).arms[1]
    assert (init.n, init.diverged) == (0, 4)
    assert init.reasons["accuracy_mean"] == "no replica has predictions that can be measured"
    assert init.reasons["diverged"] == "replicas 1, 2, 3, 4 diverged; 4 of them without finite predictions, left out"


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
