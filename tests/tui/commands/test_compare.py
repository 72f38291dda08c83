"""`compare` as a person and a program call it: words, exit codes, JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.arrays_study import write_compared_study
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


def test_arms_that_are_apart_are_told_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(store, "compared:New", "compared:Baseline", "--margin", "1") == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("A  compared: New   n = 5, accuracy ")
    assert any(line.startswith("verdict               real and worth having") for line in lines)
    assert any("paired by seed" in line for line in lines)
    assert any(line.startswith("settings              train.lr 0.1 and ") for line in lines)
    assert max(map(len, lines)) < 100


def test_arms_that_are_not_apart_give_another_exit_code(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(store, "compared:Baseline", "compared:Init alone", "--margin", "0.01") == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "verdict undecided" in out
    assert "1 run is a replica of both arms" in out
    assert "more replicas of each arm would tell 0.01 % points apart" in out
    assert compare(store, "compared:Baseline", "compared:Init alone", "--margin", "40") == 3
    assert "no difference that matters" in capsys.readouterr().out


def test_json_has_every_field(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(store, "compared:New", "compared:Control", "--json", "--measure", "cross-entropy") == 3
    found = json.loads(capsys.readouterr().out)
    assert found["v"] == 1
    one = found["comparisons"][0]
    fields = {
        "a", "b", "measure", "n", "examples", "means", "paired", "margin", "difference", "ci_test_set",
        "ci_new_examples", "ci_looking", "p_value", "p_better", "p_better_ci", "correlation", "replicas_needed",
        "examples_share", "verdict", "disagreement", "left_out", "shared", "settings",
    }  # fmt: skip
    assert set(one) == fields
    assert (one["a"], one["ci_test_set"], one["verdict"]) == ("compared: New", None, "undecided")


def test_arms_of_one_name_in_two_studies_are_judged_at_once(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_compared_study(tmp_path / "store" / "again", LOGITS[[1, 0, 2, 3]], LABELS)
    assert compare(store, "compared", "again") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if " p 0." in line or " p 1." in line]) == 4
    assert "corrected for 4 comparisons at once (Holm)" in lines[-1]


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
