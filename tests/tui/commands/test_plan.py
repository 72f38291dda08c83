"""`plan` as a person and a program call it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.catalog.published import find_rows
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_published_row_stands_for_a_pilot(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--from", "table1:parameter initialization", "--margin", "0.1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = find_rows("table1", "Parameter Initialization")[0]
    assert (found["arms"], found["n"]) == (["table1: Parameter Initialization (published)"], [row.replicas])
    assert found["sd"] == pytest.approx(row.figures["accuracy_sd"] * (2 * row.replicas / (row.replicas - 1)) ** 0.5)
    assert main(["plan", "--from", "table2:Parameter Initialization", "--margin", "0.1"]) == 0
    assert "a true difference of 0.1 is found" in capsys.readouterr().out


@pytest.mark.slow
def test_number_or_ratio_needs_no_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--sd", "1", "--margin", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "an SD that is taken for the true one" in out
    assert "to find 0.5 % points            64" in out
    assert main(["plan", "--ratio", "1.5"]) == 0
    assert "to tell SDs of 1 and 1.5 apart  50" in capsys.readouterr().out
    assert main(["plan", "--ratio", "1.5", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"v", "ratio", "power", "replicas", "curve"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one of a pilot (STUDY:ARM), --from TABLE:ROW, --sd SD or --ratio Q"),
        (["--sd", "1", "--ratio", "2"], "name one of a pilot"),
        (["--sd", "1"], "--margin X is missing"),
        (["--ratio", "2", "--margin", "1"], "--ratio has no margin"),
        (["--ratio", "2", "--measure", "accuracy"], "--measure does nothing beside --ratio"),
        (["--ratio", "2", "--out", "x"], "--out does nothing beside --ratio"),
        (["--sd", "nan", "--margin", "1"], "--sd nan: a number above 0"),
        (["--sd", "inf", "--margin", "1"], "--sd inf: a number above 0"),
        (["--ratio", "1"], "--ratio 1: a number above 1"),
        (["--ratio", "1001"], "--ratio 1001: a number above 1 and at most 1000"),
        (["--sd", "1", "--margin", "1", "--measure", "f1"], "--measure f1: one of accuracy"),
        (["--from", "tabel1:x", "--margin", "1"], "did you mean table1?"),
        (["--from", "table1", "--margin", "1"], 'name a row, as --from "table1:Parameter Initialization"'),
        (["--from", "table2:Parameter Initialization", "--margin", "1", "--measure", "accuracy"], "is published of"),
    ],
)
def test_ways_to_plan_without_a_study_say_what_is_wrong(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_plan_is_drawn_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--sd", "1", "--margin", "0.5", "--out", str(tmp_path / "new")]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["plan.pdf", "plan.png", "plan.svg"]
    (tmp_path / "file").touch()
    assert main(["plan", "--sd", "1", "--margin", "0.5", "--out", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err


@pytest.mark.slow
def test_more_replicas_than_anybody_trains_are_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "--sd", "1e9", "--margin", "1e-9"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [line for line in lines if line.startswith("  to ")]
    assert len(answers) == 3
    assert all("  more than 10,000,000  " in line for line in answers)
    [remedy] = [line for line in lines if line.startswith("a larger margin is needed")]
    assert remedy == "a larger margin is needed: 100 replicas of each arm know it to about ± 2.83e+08 % points"
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["replicas"], found["replicas_equal"], found["replicas_width"]) == (None, None, None)


@pytest.mark.slow
def test_ratio_that_nobody_can_tell_from_1_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--ratio", "1.0000001"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  to tell SDs of 1 and 1.0000001 apart  more than 10,000,000  in 80 % of studies" in lines
    assert "a larger ratio is needed: with a ratio of 1.5 some fifty replicas of each arm are enough" in lines
