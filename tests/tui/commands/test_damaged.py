"""What is said of damaged files: by arm and replica, each run once; a folder that cannot be written has its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import StudyError
from engine.study.measured import MeasuredStudy
from engine.study.metrics_record import StudyMeasures
from tests.helpers.measures import make_measures
from tests.helpers.studies import write_study
from tui.commands.export import export_study
from tui.commands.reporting import list_damaged


def test_damaged_runs_are_named_by_arm_and_replica_each_once() -> None:
    reasons = {
        "Init": "replica 2, run ab: predictions.npy is missing; replica 3, run cd: is damaged; it ends early",
        "Bit": "replica 1, run ab: predictions.npy is missing",
        "Control": None,
    }
    arms = tuple(
        make_measures(name=name, vary=[], n=2, reasons={} if said is None else {"damaged": said})
        for name, said in reasons.items()
    )
    assert list_damaged(MeasuredStudy(StudyMeasures(study="s", arms=arms), ())) == [
        "Init, replica 2, run ab: predictions.npy is missing",
        "Init, replica 3, run cd: is damaged; it ends early",
    ]


@pytest.mark.parametrize("name", ["file/report", "file"])
def test_folder_of_a_report_that_cannot_be_made_is_not_the_store(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    paths = write_study(tmp_path / "s")
    measured = MeasuredStudy(StudyMeasures(study="s", arms=(make_measures(name="a", vary=[], n=2),)), ())
    with pytest.raises(StudyError, match="choose another folder for it"):
        export_study(paths, tmp_path / name, measured)
