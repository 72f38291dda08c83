"""`diverge` as a person calls it: what is refused, and answers that are kept."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.study.divergence_record import Divergence, GrowthPoint
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import write_spec
from engine.study.study_plan import CommandSettings
from tests.helpers.records import make_arm, make_result, make_study
from tui.cli import main
from tui.commands import diverge_runs


def write_pair(folder: Path, one: Recipe, other: Recipe, *, done: bool = True, **plan: Any) -> tuple[str, str]:
    """A study of two finished runs in two arms and one."""
    paths = StudyPaths(folder)
    for recipe in (one, other):
        run = paths.run(recipe.id)
        make_folder(run.attempt(1).folder)
        write_spec(run, recipe)
        if done:
            run.predictions.write_bytes(b"x")
            write_record(run.result, make_result(run=recipe.id))
    runs = (one.id, other.id)
    arms = [make_arm("both", list(runs)), make_arm("first", [one.id]), make_arm("twos", list(runs), group=2)]
    write_record(paths.plan, make_study(arms, study=folder.name, **plan))
    return runs


@pytest.fixture
def one() -> Recipe:
    return Recipe(
        data=DataRecipe(preset="digits"),
        model=ModelRecipe(preset="hidden-fc"),
        train=TrainRecipe(epochs=2, batch_size=40, lr=0.1, warmup_epochs=0),
        seeds=Seeds(init=1, shuffle=1),
        lowlevel="deterministic",
        device="cpu",
    )


@pytest.fixture
def other(one: Recipe) -> Recipe:
    return replace(one, repeat=1)


@pytest.fixture
def store(tmp_path: Path, one: Recipe, other: Recipe) -> Path:
    write_pair(tmp_path / "s", one, other)
    return tmp_path


def refuse(store: Path, *words: str) -> None:
    assert main(["diverge", *words, "--store", str(store)]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("s:both", "1"), "2 words: `nondet-tui diverge STUDY:ARM I J`"),
        (("s:both", "1", "x"), "diverge: x: has to be the number of a replica, 1 to 2"),
        (("s:both", "1", "3"), "both has replicas 1 to 2, and no 3"),
        (("s:both", "1", "1"), "are one run, which cannot part from itself: name two of them"),
        (("s:both", "1", "s:first", "1"), "arms share runs that are the same"),
        (("s", "1", "2"), "s: which arm?"),
        (("s:bth", "1", "2"), "has no arm 'bth': did you mean both"),
        (("s:twos", "1", "2"), "its replicas are ensembles"),
        (("t:both", "1", "2"), "no study of this name"),
        (("s:both", "1", "2", "--epochs", "all"), "--epochs: all: has to be a number of epochs"),
    ],
)
def test_words_that_name_no_two_runs_are_refused(
    store: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(store, *words)
    assert said in capsys.readouterr().err


def test_runs_that_nothing_can_be_said_of_are_refused(
    tmp_path: Path, one: Recipe, other: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "unlike", one, replace(other, model=ModelRecipe(preset="linear")))
    write_pair(tmp_path / "open", one, other, done=False)
    refuse(tmp_path, "unlike:both", "1", "2")
    assert "train other networks or on other data, so that they have nothing to part from (model.preset" in (
        capsys.readouterr().err
    )
    refuse(tmp_path, "open:both", "1", "2")
    assert "both, replica 1: has been trained for 0 of " in capsys.readouterr().err


def test_own_programs_and_imports_are_sent_elsewhere(
    tmp_path: Path, one: Recipe, other: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    program = CommandSettings(folder="/", python="python", epochs=1, timeout_s=0.0, kind="logits")
    for name, plan in {"own": {"command": program}, "imported": {"origin": "import"}}.items():
        write_pair(tmp_path / name, one, other, **plan)
        refuse(tmp_path, f"{name}:both", "1", "2")
        assert "`nondet-tui diverge -- python train.py …`" in capsys.readouterr().err


def make_answer(runs: tuple[str, str], **changes: Any) -> Divergence:
    growth = (GrowthPoint(step=0, weights=1e-9, relative=1e-10), GrowthPoint(step=1, weights=2e-9, relative=2e-10))
    found = Divergence(
        studies=("s", "s"), arms=("both", "both"), replicas=(1, 2), runs=runs, epochs=2, epoch=1, step=0, steps=3,
        kind="kernel", growth=growth,
    )  # fmt: skip
    return structs.replace(found, **changes)


@pytest.mark.slow
def test_answer_is_kept_and_given_again(
    store: Path, one: Recipe, other: Recipe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def train(request: diverge_runs.DivergenceRequest, show: object) -> Divergence:
        asked.append(request.growth_epochs)
        return make_answer(request.runs, followed=request.growth_epochs)

    monkeypatch.setattr(diverge_runs, "train_again", train)
    call = ["diverge", "s:both", "1", "2", "--store", str(store)]
    assert main([*call, "--format", "json", "--epochs", "0"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["runs"] == [one.id, other.id]
    assert "hold no digests" in err
    assert main([*call, "--format", "json", "--epochs", "0"]) == 0
    assert capsys.readouterr() == (out, "")
    for options in ([], [], ["--epochs", "0"], ["--again"]):
        assert main([*call, *options]) == 0
    assert asked == [0, None, None], "what was followed to its end answers shorter questions, too"
    assert "they part in epoch 1, in step 1 of 3" in capsys.readouterr().out


def test_kept_answer_is_told_in_the_words_of_the_question(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arms share runs: what was found out of two runs answers whoever names them otherwise."""
    monkeypatch.setattr(diverge_runs, "train_again", lambda request, show: make_answer(request.runs))
    options = ("--store", str(store), "--format", "json")
    assert main(["diverge", "s:both", "1", "2", *options]) == 0
    monkeypatch.delattr(diverge_runs, "train_again")
    capsys.readouterr()
    assert main(["diverge", "s:first", "1", "s:both", "2", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["studies"], found["arms"], found["replicas"]) == (["s", "s"], ["first", "both"], [1, 2])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"epoch":1,"epochs":2}\n{"format":', "what the process answered "),
        ('{"epoch":1,"ep', "what the process answered "),
        ("", "what the process answered "),
    ],
)
def test_answer_that_is_cut_off_is_told(
    answer: str,
    said: str,
    store: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = [sys.executable, "-c", f"import sys; sys.stdin.read(); sys.stdout.write({answer!r})"]
    monkeypatch.setattr(diverge_runs, "command", lambda *_: program)
    refuse(store, "s:both", "1", "2")
    assert f"the two runs could not be trained again: {said}" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_files_are_written(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diverge_runs, "train_again", lambda request, show: make_answer(request.runs))
    call = ["diverge", "s:both", "1", "2", "--store", str(store)]
    assert main([*call, "--out", str(store / "out")]) == 0
    assert "3 files in" in capsys.readouterr().err
    assert {path.name for path in (store / "out").iterdir()} == {
        f"divergence.{kind}" for kind in ("html", "json", "txt")
    }
    assert main([*call, "--format", "html"]) == 0
    assert capsys.readouterr().out == (store / "out" / "divergence.html").read_text()


@pytest.mark.slow
def test_runs_that_agree_have_another_exit_code(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"epoch": None, "step": None, "kind": None, "growth": ()}
    monkeypatch.setattr(diverge_runs, "train_again", lambda request, show: make_answer(request.runs, **changes))
    assert main(["diverge", "s:both", "1", "2", "--store", str(store)]) == 3
    assert "they do not part: all weights are equal to the bit" in capsys.readouterr().out
