"""Kill -9 of every process at random moments; crash_drill.py tries more of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.helpers.crash_drill import VICTIMS, drill
from tests.helpers.real_study import Study, finish, stop_everything, wait_for

pytestmark = pytest.mark.slow

MOMENTS = 3
WINDOW_S = (3.0, 8.0)
"""Where most of the training of the small study lies."""


@pytest.mark.parametrize("number", range(MOMENTS))
@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_study_finishes_by_the_same_command(victim: str, number: int, reference: Study, tmp_path: Path) -> None:
    moment_s = random.Random(f"{victim}{number}").uniform(*WINDOW_S)
    drill(tmp_path / "study", victim, moment_s, reference)


def damage_plan(study: Study) -> None:
    (study.folder / "plan.json").write_text('{"v": 1, "arms"')


def damage_spec(study: Study) -> None:
    next(study.folder.glob("runs/*/spec.json")).unlink()


def damage_result(study: Study) -> None:
    next(study.folder.glob("runs/*/result.json")).write_bytes(b"")


def damage_predictions(study: Study) -> None:
    next(study.folder.glob("runs/*/predictions.npy")).unlink()


def damage_metrics(study: Study) -> None:
    (study.folder / "metrics.json").write_bytes(b"{")


DAMAGES = [damage_plan, damage_spec, damage_result, damage_predictions, damage_metrics]


def test_damaged_study_is_repaired_by_the_same_command(study: Study, reference: Study) -> None:
    """Each damage to a finished study, one after the other: the same command ends with the same table."""
    try:
        assert study.run().returncode == 0
        for damage in DAMAGES:
            damage(study)
            done = study.run()
            assert done.returncode == 0, (damage.__name__, done.stderr)
            assert study.metrics() == reference.metrics(), damage.__name__
            assert study.digests() == reference.digests(), damage.__name__
    finally:
        stop_everything(study)


def test_torn_epochs_of_a_killed_attempt_are_no_obstacle(study: Study, reference: Study) -> None:
    process = study.start()
    wait_for(lambda: len(study.results()) >= 2)
    finish(process)
    for path in study.folder.glob("runs/*/attempts/01/epochs.jsonl"):
        path.write_bytes(path.read_bytes()[:-7])
    assert study.run().returncode == 0
    assert study.metrics() == reference.metrics()
