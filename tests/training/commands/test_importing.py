"""Studies of predictions that were there before: every kind of file, and measures equal to those of the arrays."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from engine.dispatch.start import start_supervisor
from engine.errors import NondetError, StudyError
from engine.metrics import diversity
from engine.metrics.study import measure_study
from engine.study.metrics_record import ArmMeasures
from engine.study.paths import StudyPaths
from engine.study.study_plan import read_plan
from engine.study.view import StudyView
from engine.training.commands.importing import ImportRequest, import_study

R, N, C = 4, 30, 3
RNG = np.random.default_rng(1)
LABELS = RNG.integers(0, C, N)
LOGITS = (RNG.normal(size=(R, N, C)) + 2 * np.eye(C)[LABELS]).astype(np.float16)


def take(tmp_path: Path, arms: dict[str, Path], *, kind: str = "logits", labels: Path | None = None) -> StudyPaths:
    folder = tmp_path / "store" / "taken"
    request = ImportRequest(
        folder=str(folder),
        arms={name: str(path) for name, path in arms.items()},
        kind=kind,
        labels=None if labels is None else str(labels),
    )
    import_study(request)
    return StudyPaths(folder)


def measure(paths: StudyPaths) -> list[ArmMeasures]:
    return list(measure_study(paths, read_plan(paths)).arms)


def write_folder(folder: Path, suffix: str) -> Path:
    folder.mkdir()
    for replica, logits in enumerate(LOGITS, start=8):  # run 8, 9, 10, 11: numbers are no text
        file = folder / f"run{replica}{suffix}"
        if suffix == ".npy":
            np.save(file, logits)
        elif suffix == ".npz":
            np.savez(file, logits=logits, other=np.zeros(2))
        elif suffix == ".pt":
            torch.save({"logits": torch.tensor(logits), "epoch": 3}, file)
        elif suffix == ".safetensors":
            save_file({"logits": np.ascontiguousarray(logits)}, file)
        else:
            np.savetxt(file, logits, delimiter=",", header="a,b,c", comments="")
    np.save(folder / "labels.npy", LABELS)
    return folder


def test_measures_are_those_of_the_same_arrays_in_every_kind_of_file(tmp_path: Path) -> None:
    np.save(tmp_path / "all.npy", LOGITS)
    arms = {
        suffix: write_folder(tmp_path / suffix[1:], suffix)
        for suffix in (".npy", ".npz", ".pt", ".safetensors", ".csv")
    }
    paths = take(tmp_path, {"all": tmp_path / "all.npy", **arms}, labels=tmp_path / "npy" / "labels.npy")
    expected = diversity(LOGITS.astype(np.float32), LABELS)
    found = measure(paths)
    assert [arm.name for arm in found] == ["all", *arms]
    for arm in found:
        assert arm.n == R
        for key in ("accuracy_sd", "cross_entropy_mean", "disagreement", "correlation", "ensemble_delta"):
            assert arm.find(key).value == getattr(expected, key), (arm.name, key)
        assert arm.find("disagreement").interval == expected.disagreement_ci


def test_run_of_a_study_is_one_of_its_folders(tmp_path: Path) -> None:
    for run in ("a10", "a9"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        np.save(tmp_path / "runs" / run / "predictions.npy", LOGITS[0 if run == "a9" else 1])
        np.save(tmp_path / "runs" / run / "labels.npy", LABELS)
    np.save(tmp_path / "labels.npy", LABELS)
    paths = take(tmp_path, {"Runs": tmp_path / "runs"}, labels=tmp_path / "labels.npy")
    first = np.load(paths.run(read_plan(paths).order[0]).predictions)
    assert np.array_equal(first, LOGITS[0].astype(np.float32))


def test_probabilities_keep_their_predictions_and_cross_entropy(tmp_path: Path) -> None:
    values = np.exp(LOGITS.astype(np.float64))
    values /= values.sum(axis=-1, keepdims=True)
    np.save(tmp_path / "p.npy", values)
    np.save(tmp_path / "labels.npy", LABELS)
    with pytest.raises(NondetError, match=r'p.npy, replica 1: holds probabilities.* say kind = "probabilities"'):
        take(tmp_path, {"P": tmp_path / "p.npy"})
    (arm,) = measure(take(tmp_path, {"P": tmp_path / "p.npy"}, kind="probabilities"))
    losses = -np.log(values[:, np.arange(N), LABELS]).mean(axis=1)
    assert arm.find("cross_entropy_mean").value == pytest.approx(losses.mean(), rel=1e-6)
    assert "an ensemble averages logarithms" in arm.reasons["kind"]


def test_classes_have_accuracy_and_disagreement_alone(tmp_path: Path) -> None:
    chosen = LOGITS.argmax(axis=-1)
    np.save(tmp_path / "c.npy", chosen)
    np.save(tmp_path / "labels.npy", LABELS)
    (arm,) = measure(take(tmp_path, {"C": tmp_path / "c.npy"}, kind="classes"))
    expected = diversity(LOGITS.astype(np.float32), LABELS)
    assert arm.find("accuracy_mean").value == expected.accuracy_mean
    assert arm.find("disagreement").interval == expected.disagreement_ci
    assert arm.find("correlation").value is None
    assert "only predicted classes are known" in arm.reasons["correlation"]


@pytest.mark.parametrize(
    "table",
    [
        "run,step,accuracy,f1\nb,1,50,0.1\nb,2,60,0.5\na,1,51,0.2\na,2,66,0.7\n",
        "Name,_step,metric,value\nb,1,accuracy,50\nb,2,accuracy,60\nb,2,f1,0.5\na,2,accuracy,66\na,1,f1,0.2\na,2,f1,0.7\n",
    ],
)
def test_scalars_count_with_their_last_step(tmp_path: Path, table: str) -> None:
    (tmp_path / "export.csv").write_text(table)
    paths = take(tmp_path, {"A": tmp_path / "export.csv"}, kind="scores")
    (arm,) = measure(paths)
    assert (arm.n, arm.scores["accuracy"].mean, arm.scores["accuracy"].sd) == (2, 63.0, 3.0)
    assert arm.scores["f1"].mean == pytest.approx(0.6)
    (view,) = StudyView(paths).refresh().arms
    assert view.spread is not None
    assert (view.spread.epoch, view.spread.maximum) == (2, 66.0)


@pytest.mark.parametrize("ending", ["nan", "inf"])
def test_run_that_ends_in_no_number_has_diverged(tmp_path: Path, ending: str) -> None:
    lines = ["run,step,f1,loss", "a,1,0.5,1.0", f"a,2,0.7,{ending}", "b,1,0.5,1.0", "b,2,,0.9", "c,1,0.6,0.8"]
    (tmp_path / "export.csv").write_text("\n".join(lines))
    (arm,) = measure(take(tmp_path, {"A": tmp_path / "export.csv"}, kind="scores"))
    assert (arm.n, arm.diverged) == (2, 1)
    assert arm.scores["loss"].mean == pytest.approx(0.85), "no earlier number takes the place of the last"
    assert arm.scores["f1"].n == 2, "a run counts as a whole; an empty cell is none that was logged"


def test_number_of_any_name_is_followed_where_there_is_no_accuracy(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("run,step,loss,mrr\na,1,3,0.1\na,2,2,0.4\nb,1,3,0.1\nb,2,2,0.2\n")
    (arm,) = StudyView(take(tmp_path, {"A": tmp_path / "export.csv"}, kind="scores")).refresh().arms
    assert arm.spread is not None
    assert (arm.spread.measure, arm.spread.epoch) == ("mrr", 2)
    assert arm.spread.mean == pytest.approx(0.3)


def test_study_of_an_import_is_done_and_trains_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "all.npy", LOGITS)
    np.save(tmp_path / "labels.npy", LABELS)
    paths = take(tmp_path, {"A": tmp_path / "all.npy"})
    assert StudyView(paths).refresh().state == "done"
    with pytest.raises(StudyError, match="was imported"):
        start_supervisor(paths)
    with pytest.raises(StudyError, match="is there already"):
        take(tmp_path, {"A": tmp_path / "all.npy"})


@pytest.mark.parametrize(
    ("name", "content", "kind", "told"),
    [
        ("x.npy", b"\x93NUMPY\x01\x00", "logits", "cannot be read as an array"),
        ("x.npy", b"0.5 0.5", "logits", "cannot be read as an array (it is no array file, or holds Python objects"),
        ("x.npy", pickle.dumps([1]), "logits", "or holds Python objects, which are never loaded): write numbers alone"),
        ("x.pkl", b"", "logits", "is no file of arrays"),
        ("x.csv", b"1,2,3\n4,5\n", "logits", "different numbers of columns"),
        ("x.csv", b"1,2,3\n4,5,6\n", "logits", "not logits (30, C) for 30 labels"),
        ("x.csv", b"accuracy\n3\n", "scores", "has no column of runs (columns: accuracy)"),
        ("x.csv", b"run,accuracy\na,high\n", "scores", "holds no numbers"),
    ],
)
def test_what_cannot_be_imported_is_named_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, kind: str, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "labels.npy", LABELS)
    with pytest.raises(NondetError) as caught:
        take(tmp_path, {"A": tmp_path / name}, kind=kind)
    assert told in str(caught.value)
    assert not (tmp_path / "store" / "taken").exists()


def test_pickled_program_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (json.loads, ("1",))

    torch.save(Evil(), tmp_path / "x.pt")
    np.save(tmp_path / "labels.npy", LABELS)
    with pytest.raises(NondetError, match="holds Python objects, which are never loaded"):
        take(tmp_path, {"A": tmp_path / "x.pt"})
