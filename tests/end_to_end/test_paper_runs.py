"""What the paper's protocols need, in real processes: views, crossed grids, inner layers, text, files for a paper."""

from __future__ import annotations

import json

import pytest

from tests.helpers.real_study import HEAD, Study

pytestmark = pytest.mark.slow

ARMS = """
[metrics]
bootstrap = 50
cka = true
[[arm]]
name = "Init"
vary = ["init"]
[[arm]]
name = "Init, 9 crops"
vary = ["init"]
evaluate = { crops = 9 }
[[arm]]
name = "Grid"
crossed = { init = 3, shuffle = 3 }
[[arm]]
name = "Averaged"
vary = ["init", "stochastic"]
train = { averaging = "swa", weight_noise = 0.01 }
"""


def test_study_of_views_grids_and_layers_ends_with_everything_measured(study: Study) -> None:
    study.file.write_text(HEAD.replace("[metrics]\nbootstrap = 200\n", "") + ARMS)
    done = study.run()
    assert done.returncode == 0, done.stderr
    plain, seen, grid, averaged = study.metrics()
    assert seen["accuracy_mean"] != plain["accuracy_mean"]
    logs = [path.read_text() for path in study.folder.glob("runs/*/attempts/01/log.txt")]
    assert sum("evaluated the weights of run" in log for log in logs) == 3, "nothing is trained for another look"
    weights = {weights for weights, _ in study.digests().values()}
    assert len(weights) == 9 + 3, "every pair of the grid, whose first column is the plain arm, and the averaged runs"
    assert grid["n"] == 9
    assert set(grid["crossed"]) == {"sources", "levels", "accuracy", "true_accuracy", "cross_entropy", "logits"}
    names = [layer["layer"] for layer in plain["cka"]]
    assert names == ["Conv1", "ResBlock1", "AvgPool", "Logits"]
    assert all(0 < layer["cka"] <= 1 and layer["n"] == 3 for arm in (plain, averaged) for layer in arm["cka"])
    for title in ("diagnostics", "figure 1, CKA", "figure 3, spread by epoch", "crossed design"):
        assert title in done.stdout

    out = study.store / "paper"
    report = study.run_command("report", str(study.folder), "--out", str(out))
    assert report.returncode == 0, report.stderr
    assert {path.name for path in out.iterdir()} >= {
        "table.md", "table.tex", "table.csv", "table.parquet", "table.json", "diagnostics.tex", "figure1-cka.pdf",
        "figure3-instability.svg", "crossed.png", "report.html",
    }  # fmt: skip
    assert json.loads((out / "table.json").read_text()) == study.read("metrics.json")


TEXT = """
[protocol]
name = "small"
replicas = 2
[data]
preset = "pydoc"
[model]
preset = "qrnn"
args = { embedding = 8, hidden = 8, layers = 2 }
[train]
epochs = 1
batch_size = 200
optimizer = "nt-asgd"
schedule = "constant"
warmup_epochs = 0
lr = 5.0
momentum = 0.0
bias_bn_lr_scale = 1.0
[metrics]
bootstrap = 50
[dispatch]
devices = "cpu"
slots_per_device = 2
[[arm]]
name = "Control"
vary = []
[[arm]]
name = "Stochastic Operations"
vary = ["stochastic"]
"""


def test_study_of_language_models_ends_with_perplexities(study: Study) -> None:
    study.file.write_text(TEXT)
    done = study.run("--slots", "1")
    assert done.returncode == 0, done.stderr
    control, stochastic = study.metrics()
    assert (control["disagreement"], control["ensemble_perplexity_delta"]) == (0.0, 0.0)
    assert control["identical_weights"] is True
    assert stochastic["perplexity_sd"] > 0
    assert "perplexity" in done.stdout
    assert "Spearman" not in done.stdout
    results = [json.loads(path.read_text()) for path in study.folder.glob("runs/*/result.json")]
    assert all(result["test_perplexity"] > 1 for result in results)
    epochs = next(study.folder.glob("runs/*/attempts/01/epochs.jsonl")).read_text()
    assert json.loads(epochs.splitlines()[0])["test_perplexity"] > 1
