"""Signals to every process at random moments; crash_drill.py sends more of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.crash_drill import KINDS, Tally, disturb, train_reference
from tests.helpers.real_study import Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KILLS, SEED = 10, 1


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Study]:
    """Give the study of a kind, trained without disturbance once per test process."""
    known: dict[str, Study] = {}

    def give(kind: str) -> Study:
        if kind not in known:
            known[kind] = train_reference(tmp_path_factory.mktemp("undisturbed") / kind, kind)
        return known[kind]

    return give


@pytest.mark.parametrize("kind", KINDS)
def test_killed_study_ends_as_if_nothing_had_happened(
    kind: str, undisturbed: Callable[[str], Study], tmp_path: Path
) -> None:
    tally = Tally()
    disturb(tmp_path / "study", kind, undisturbed(kind), kills=KILLS, generator=random.Random(SEED), tally=tally)
    assert tally.faults == []
    assert tally.processes > 0


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


def test_damaged_study_is_repaired_by_the_same_command(trained: Study, reference: Study) -> None:
    """Each damage to a finished study, one after the other: the same command ends with the same table."""
    for damage in DAMAGES:
        damage(trained)
        done = trained.run()
        assert done.returncode == 0, (damage.__name__, done.stderr)
        assert trained.metrics() == reference.metrics(), damage.__name__
        assert trained.digests() == reference.digests(), damage.__name__


def test_torn_epochs_of_a_finished_attempt_are_no_obstacle(trained: Study, reference: Study) -> None:
    damage_metrics(trained)
    for path in trained.folder.glob("runs/*/attempts/01/epochs.jsonl"):
        path.write_bytes(path.read_bytes()[:-7])
    assert trained.run().returncode == 0
    assert trained.metrics() == reference.metrics()
