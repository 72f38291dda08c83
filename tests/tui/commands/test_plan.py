"""`plan` as a person and a program call it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.arrays_study import write_compared_study
from tui.cli import main

RNG = np.random.default_rng(8)
LABELS = RNG.integers(4, size=200)
LOGITS = (RNG.normal(size=(4, 5, 200, 4)) + np.eye(4)[LABELS]).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_compared_study(tmp_path / "store" / "compared", LOGITS, LABELS)
    return tmp_path / "store"


def plan(store: Path, *words: str) -> int:
    return main(["plan", *words, "--store", str(store)])


def test_two_arms_are_planned_for_by_their_pairs(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(store, "compared:Baseline", "compared:New", "--margin", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["pilot", "compared:", "Baseline"]
    assert lines[2].strip() == "n = 5 and 5, paired by seed"
    assert any(line.startswith("  to find 2 % points") for line in lines)
    assert any("more replicas of each than the pilot has" in line for line in lines)
    assert sum("━" in line for line in lines) >= 5
    assert max(map(len, lines)) < 100


def test_one_arm_stands_for_both(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(store, "compared:Baseline", "--margin", "0.1", "--measure", "cross-entropy", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["v"] == 1
    assert (found["arms"], found["n"], found["paired"]) == (["compared: Baseline"], [5], False)
    assert (found["measure"], found["margin"], found["power"]) == ("cross-entropy", 0.1, 0.8)
    assert found["sd_upper"] > found["sd"] > 0
    assert set(found) == {
        "v", "arms", "measure", "margin", "power", "n", "paired", "sd", "sd_upper", "replicas", "replicas_equal",
        "replicas_width", "curve", "seconds",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compared"], "name the arm that is the pilot, STUDY:ARM; it has 'Baseline', 'New'"),
        (["compared:Neu"], "has no arm 'Neu'"),
        (["compared:Control"], "shows no spread, since nothing varies in it"),
        (["compared:New", "--power", "1"], "--power 1: a number between 0.05 and 1"),
        (["compared:New", "--power", "often"], "--power often: a number between"),
        (["compared:New", "--measure", "f1"], "compared in one of accuracy, cross-entropy"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    store: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert plan(store, *words, "--margin", "1") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_margin_is_asked_for(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(store, "compared:New") == 2
    assert "--margin" in capsys.readouterr().err
