"""Training until a comparison is decided, in real processes: the same end on any number of slots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.real_study import Study, stop_everything

pytestmark = pytest.mark.slow

TEXT = """
[protocol]
name = "small"
replicas = 12
[data]
preset = "digits"
train_size = 200
[model]
preset = "linear"
[train]
epochs = 1
batch_size = 50
lr = 0.1
warmup_epochs = 0
[metrics]
bootstrap = 0
[[arm]]
name = "A"
vary = ["init", "shuffle"]
[[arm]]
name = "B"
vary = ["init", "shuffle"]
train = { lr = LR }
"""


def run(study: Study, lr: str, *options: str) -> str:
    study.file.write_text(TEXT.replace("LR", lr))
    done = study.run("--until", "decided", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_end_and_table_are_the_same_on_any_number_of_slots(study: Study, tmp_path: Path) -> None:
    others = [replace(study, store=tmp_path / f"slots{slots}") for slots in (1, 3)]
    try:
        for other, slots in zip(others, "13", strict=True):
            said = run(other, "0.003", "--slots", slots)
            assert "decided after" in said
        one, three = (other.read("decision.json") for other in others)
        assert one == three
        assert 5 <= one["pairs"] < 12
        assert [other.metrics() for other in others] == [others[0].metrics()] * 2
        assert [arm["n"] for arm in others[0].metrics()] == [one["pairs"]] * 2
        trained = [other.digests() for other in others]
        both = trained[0].keys() & trained[1].keys()
        assert len(both) >= 2 * one["pairs"]
        assert all(trained[0][run_id] == trained[1][run_id] for run_id in both)
        again = others[1].run("--until", "decided")
        assert f"all {2 * one['pairs']} runs are already done" in again.stderr
        status = others[1].run_command("status", str(others[1].folder)).stdout
        assert f"decided after {one['pairs']} pairs" in status
        check = others[1].run_command("check", str(study.file), "--store", str(others[1].store), "--until", "decided")
        assert f"{2 * one['pairs']} runs: 0 to train" in check.stdout
        # A wider question goes on from what is there, and every replica counts again.
        whole = others[0].run()
        assert whole.returncode == 0
        assert [arm["n"] for arm in others[0].metrics()] == [12, 12]
    finally:
        for other in others:
            stop_everything(other)
