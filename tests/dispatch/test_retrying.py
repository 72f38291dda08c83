"""One run is tried again: what is asked of the study for that, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.dispatch import start
from engine.dispatch.start import retry_run
from engine.errors import StudyError
from engine.study.control import Control, read_control
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.view import StudyView
from tests.helpers.records import make_supervisor
from tests.helpers.studies import write_study

GONE = replace(current_owner(), start_ticks=1)
DONE, RUNNING, FAILED, ALSO_FAILED, QUEUED = (f"{0:08x}{replica:08x}" for replica in range(5))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyPaths:
    """A study that nothing supervises, with runs in every state; nothing is started."""
    monkeypatch.setattr(start, "_start", lambda paths: None)
    paths = write_study(tmp_path / "s", arms={"Init": ["init"]}, replicas=5, done=1, running=1, failed=2)
    write_record(paths.supervisor, make_supervisor(GONE))
    return paths


def list_retriable(study: StudyPaths) -> list[str]:
    return [run.id for run in StudyView(study, measures=()).refresh().runs.values() if run.state.retriable]


def test_where_nothing_trains_one_run_alone_is_tried_again(study: StudyPaths) -> None:
    wanted = Control(cancelled_runs=frozenset({ALSO_FAILED, QUEUED}), retried={FAILED: 1})
    for _ in range(2):
        retry_run(study, FAILED, seen=1)
        assert read_control(study) == wanted, "asked for twice, it is one request"
    assert list_retriable(study) == [FAILED]


def test_running_study_goes_on_with_the_others_too(study: StudyPaths) -> None:
    write_record(study.supervisor, make_supervisor(current_owner(), state="running"))
    retry_run(study, FAILED, seen=1)
    assert read_control(study) == Control(retried={FAILED: 1})


@pytest.mark.parametrize(
    ("run", "seen", "fault"),
    [
        (DONE, 1, "is done"),
        (RUNNING, 1, "is running"),
        (QUEUED, 0, "is queued"),
        ("0" * 16 + "x", 1, "is not in the plan"),
        (FAILED, 2, "was tried again meanwhile: there are 1 attempts, not 2"),
    ],
)
def test_run_that_cannot_be_tried_again_is_named(study: StudyPaths, run: str, seen: int, fault: str) -> None:
    with pytest.raises(StudyError, match=f"run {run} {fault}"):
        retry_run(study, run, seen=seen)
    assert read_control(study) == Control()
