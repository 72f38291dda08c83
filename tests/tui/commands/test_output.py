"""What is printed beside the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.study.measured import MeasuredStudy
from engine.study.metrics_record import StudyMeasures
from tests.helpers.measures import make_measures
from tests.helpers.studies import write_study
from tui.commands.output import name_runs, print_results


@pytest.mark.parametrize(("planned", "said"), [(5, True), (3, False)])
def test_report_says_why_there_are_more_replicas_than_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], planned: int, said: bool
) -> None:
    paths = write_study(tmp_path / "s", arms={"One": ["init"], "Two": ["bit"]}, replicas=3)
    arms = tuple(make_measures(name=name, n=3, planned=planned) for name in ("One", "Two"))
    print_results(paths, MeasuredStudy(StudyMeasures(study="s", arms=arms), ()), as_json=False)
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert (f"{2 * planned} replicas are 6 runs: arms share those that are the same" in printed) is said


def test_run_is_named_by_the_first_arm_that_it_counts_for() -> None:
    names = name_runs([("One", ["a", "b"]), ("Two\x1b", ["b", "c"])])
    assert names == {
        "a": "One, replica 1, run a", "b": "One, replica 2, run b", "c": "Two\\x1b, replica 2, run c",
    }  # fmt: skip
