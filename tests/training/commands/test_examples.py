"""The programs that ship in protocols/own: each leaves what its protocol says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.protocol.load import load_protocol
from engine.study.study_plan import read_plan
from engine.training.commands.outcome import read_scores
from engine.training.commands.predictions import take_predictions
from engine.training.commands.reports import Reports
from engine.training.commands.settings import make_environment, make_words

FOLDER = Path(__file__).parents[3] / "protocols" / "own"


def run_once(name: str, tmp_path: Path) -> Path:
    """Run the first run of a protocol as a worker would, and return its folder."""
    protocol = load_protocol(FOLDER / f"{name}.toml")
    plan = plan_protocol(protocol)
    settings = read_plan(prepare_study(protocol, plan, store=str(tmp_path / "store"))).command
    recipe = next(iter(plan.recipes.values()))
    assert settings is not None
    assert recipe.command is not None
    out = tmp_path / "out"
    out.mkdir()
    words, environment = (
        make_words(recipe.command, settings, out),
        make_environment(recipe, recipe.command, settings, out, 1),
    )
    assert words[0] == sys.executable
    subprocess.run(words, env=environment, cwd=settings.folder, check=True)
    return out


@pytest.mark.slow
def test_pytorch_script_reports_its_epochs_and_leaves_logits(tmp_path: Path) -> None:
    out = run_once("pytorch", tmp_path)
    taken = take_predictions(np.load(out / "predictions.npy"), np.load(out / "labels.npy"), "logits", "x")
    records = Reports(out).read_new()
    assert len(records) == 5
    assert records[-1].test_accuracy == pytest.approx(taken.accuracy, abs=1e-4)
    assert taken.accuracy > 80
    assert taken.values.shape == (797, 10)


@pytest.mark.slow
def test_scikit_learn_script_leaves_scores(tmp_path: Path) -> None:
    scores = read_scores(run_once("scikit-learn", tmp_path) / "result.json")
    assert set(scores) == {"accuracy", "log loss"}
    assert 80 < scores["accuracy"] < 100
