"""`compare` as a person and a program call it: words, exit codes, JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from engine.study.decision_record import CompareSettings
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import Versions
from engine.study.study_plan import read_plan
from tests.helpers import arrays_study
from tests.helpers.arrays_study import write_compared_study
from tests.helpers.records import make_attempt
from tui.cli import main

RNG = np.random.default_rng(8)
LABELS = RNG.integers(4, size=200)
HINTS = np.array([1.0, 2.0, 1.0, 1.0])[:, None, None, None] * np.eye(4)[LABELS]
LOGITS = (RNG.normal(size=(4, 5, 200, 4)) + HINTS).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_compared_study(tmp_path / "store" / "compared", LOGITS, LABELS)
    return tmp_path / "store"


def compare(store: Path, *words: str) -> int:
    return main(["compare", *words, "--store", str(store)])


@pytest.mark.slow
def test_arms_that_are_apart_are_told_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(store, "compared:New", "compared:Baseline", "--margin", "1") == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("A  compared: New   n = 5, accuracy ")
    assert any(line.startswith("verdict               real and worth having: A is better than B by") for line in lines)
    assert any("paired by seed" in line for line in lines)
    assert any(line.startswith("settings              train.lr 0.1 and ") for line in lines)
    assert max(map(len, lines)) < 100


@pytest.mark.slow
def test_arms_that_are_not_apart_give_another_exit_code(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(store, "compared:Baseline", "compared:Init alone", "--margin", "0.01") == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "verdict undecided" in out
    assert "1 run is a replica of both arms" in out
    assert "more replicas of each arm would narrow it to 0.01 % points to each side" in out
    assert compare(store, "compared:Baseline", "compared:Init alone", "--margin", "40") == 3
    assert "no difference that matters" in capsys.readouterr().out


@pytest.mark.slow
def test_json_has_every_field(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(store, "compared:New", "compared:Control", "--json", "--measure", "cross-entropy") == 3
    found = json.loads(capsys.readouterr().out)
    assert found["v"] == 1
    one = found["comparisons"][0]
    fields = {
        "a", "b", "measure", "n", "examples", "means", "paired", "margin", "difference", "ci_test_set",
        "ci_new_examples", "ci_looking", "p_value", "p_better", "p_better_ci", "correlation", "replicas_needed",
        "examples_share", "sequential", "verdict", "narrowed", "best", "figures", "p_holm", "unit", "disagreement",
        "left_out", "without_number", "diverged", "shared", "settings", "trained_with",
    }  # fmt: skip
    assert set(one) == fields
    assert (one["a"], one["ci_test_set"], one["verdict"]) == ("compared: New", None, "undecided")


@pytest.mark.slow
def test_arms_of_one_name_in_two_studies_are_judged_at_once(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_compared_study(tmp_path / "store" / "again", LOGITS[[1, 0, 2, 3]], LABELS)
    assert compare(store, "compared", "again") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if " p = " in line or " p < " in line]) == 4
    assert "corrected for 4 comparisons at once (Holm)" in lines[-1]


@pytest.mark.slow
def test_the_measure_and_the_margin_are_the_protocols_where_no_other_is_asked_for(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = StudyPaths(store / "compared")
    settings = CompareSettings(a="Baseline", b="New", measure="cross-entropy", margin=30.0)
    write_record(paths.plan, structs.replace(read_plan(paths), compare=settings))

    def ask(*words: str) -> tuple[str, float | None]:
        compare(store, "compared:New", *words, "--json")
        one = json.loads(capsys.readouterr().out)["comparisons"][0]
        return one["measure"], one["margin"]

    assert ask("compared:Baseline") == ("cross-entropy", 30.0)
    assert ask("compared:Baseline", "--margin", "2") == ("cross-entropy", 2.0)
    assert ask("compared:Baseline", "--measure", "accuracy") == ("accuracy", None), "a margin has the unit of its own"
    assert ask("compared:Init alone") == ("accuracy", None), "of these two it says nothing"
    compare(store, "compared:New", "compared:Baseline")
    out = " ".join(capsys.readouterr().out.split())
    assert "verdict real, smaller than the margin" in out
    assert "the difference is below the margin of 30 nats" in out
    main(["report", "compared:New", "--against", "compared:Baseline", "--store", str(store)])
    assert "the difference is below the margin of 30 nats" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_arms_that_stopped_when_decided_are_told_apart_by_the_interval_while_looking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "close"
    nearer = LOGITS - np.array([0.0, 0.6, 0.0, 0.0], dtype=np.float32)[:, None, None, None] * np.eye(4)[LABELS]
    write_compared_study(store / "compared", nearer.astype(np.float32), LABELS)
    words = ("compared:New", "compared:Baseline", "--json")
    assert compare(store, *words) == 0
    one = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert one["p_value"] < 0.05
    paths = StudyPaths(store / "compared")
    settings = CompareSettings(a="New", b="Baseline", measure="accuracy", until_decided=True)
    write_record(paths.plan, structs.replace(read_plan(paths), compare=settings))
    low, high = one["ci_looking"]
    assert low <= 0 <= high, "wider than the ordinary interval, which leaves 0 out"
    assert compare(store, *words) == 3
    one = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert one["sequential"]


@pytest.mark.slow
def test_all_measures_are_judged_at_once(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compared:New", "compared:Baseline", "--measure", "all")
    assert compare(store, *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " p = " in line or " p < " in line] == ["accuracy", "cross-entropy"]
    assert "A - B in % points, nats" in lines[-1]
    assert "corrected for 2 comparisons at once (Holm)" in lines[-1]
    assert compare(store, *words, "--json") == 0
    one, other = json.loads(capsys.readouterr().out)["comparisons"]
    assert (one["measure"], one["unit"], other["measure"], other["unit"]) == (
        "accuracy", "% points", "cross-entropy", "nats"
    )  # fmt: skip
    chances = sorted([one["p_value"], other["p_value"]])
    assert sorted([one["p_holm"], other["p_holm"]]) == [
        pytest.approx(2 * chances[0]),
        pytest.approx(max(2 * chances[0], chances[1])),
    ]


@pytest.mark.slow
def test_what_would_narrow_it_and_what_seeds_can_do_is_said(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(store, "compared:New", "compared:Baseline", "--json")
    found = json.loads(capsys.readouterr().out)["comparisons"][0]
    compare(store, "compared:New", "compared:Baseline", "--margin", "1")
    lines = capsys.readouterr().out.splitlines()
    [best] = [line for line in lines if line.startswith("best of 5 seeds")]
    assert f"{found['best'][0]:.2f}" in best
    assert best.endswith(" by choice alone")
    assert any(line.startswith(f"twice the replicas    ± {found['narrowed']['test_set']:.2f}") for line in lines)
    assert any(line.startswith("twice the examples    on new examples ±") for line in lines)


def record_attempts(store: Path, arm: str, **changes: Any) -> None:
    paths = StudyPaths(store / "compared")
    for run in next(one.runs for one in read_plan(paths).arms if one.name == arm):
        attempt = paths.run(run).attempt(1)
        make_folder(attempt.folder)
        write_record(attempt.attempt, make_attempt(**changes))


@pytest.mark.slow
def test_other_devices_and_versions_are_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newer = Versions(python="3", torch="2.13", numpy="2")
    record_attempts(store, "Baseline", device="NVIDIA A100")
    record_attempts(store, "New", device="NVIDIA H100", versions=newer, environment={"TF32": "1"})
    compare(store, "compared:New", "compared:Baseline", "--json")
    found = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert found["trained_with"] == [
        "device NVIDIA H100 and NVIDIA A100", "torch 2.13 and 2", "TF32 1 and –",
    ]  # fmt: skip
    compare(store, "compared:New", "compared:Baseline")
    out = " ".join(capsys.readouterr().out.split())
    assert "trained with device NVIDIA H100 and NVIDIA A100 torch 2.13 and 2" in out
    assert "The two were not trained alike, which may be the cause, too." in out
    record_attempts(store, "New", device="NVIDIA A100")
    compare(store, "compared:New", "compared:Baseline", "--json")
    assert json.loads(capsys.readouterr().out)["comparisons"][0]["trained_with"] == []


@pytest.mark.slow
def test_several_settings_that_differ_are_said_to_be_several(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = arrays_study.COMPARED.replace("epochs = 4", "epochs = 6\nbatch_size = 64").replace("lr = 0.1", "lr = 0.2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays_study, "COMPARED", text)
        write_compared_study(tmp_path / "store" / "again", LOGITS, LABELS)
    compare(store, "compared:New", "again:New")
    out = " ".join(capsys.readouterr().out.split())
    assert "train.epochs 4 and 6" in out
    assert "3 settings differ, so no one of them is shown to be the cause." in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compared:Baseline", "compared:Neu"], "has no arm 'Neu'"),
        (["compared", "compared"], "not compared with itself: name arms"),
        (["compared:New", "compared:New"], "an arm is not compared with itself"),
        (["compared:New", "compared:Baseline", "--margin", "0"], "--margin 0: a number above 0"),
        (["compared:New", "compared:Baseline", "--margin", "much"], "--margin much: a number above 0"),
        (["compared:New", "compared:Baseline", "--measure", "f1"], "compared in one of accuracy, cross-entropy"),
        (["compared:New", "nothing:New"], "nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    store: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert compare(store, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
