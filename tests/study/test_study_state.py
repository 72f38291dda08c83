"""One folder has one state: the list and the view derive it alike, whatever the folder is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.study.control import request
from engine.study.files import make_folder
from engine.study.metrics_record import StudyMeasures, write_metrics
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, current_owner
from engine.study.records import write_record
from engine.study.run_records import note_damage
from engine.study.study_plan import read_plan
from engine.study.summary import StudySummaries, summarise_study
from engine.study.view import StudyView
from tests.helpers.measures import make_measures
from tests.helpers.records import make_attempt, make_exit, make_result, make_supervisor


def finish(paths: StudyPaths, *, but: int = 0) -> None:
    order = read_plan(paths).order
    for run_id in order[: len(order) - but]:
        run = paths.run(run_id)
        run.predictions.write_bytes(b"x")
        write_record(run.result, make_result(run=run_id))


def attempt(paths: StudyPaths, owner: Owner, **ended: str) -> None:
    """Have the last run tried."""
    made = paths.run(read_plan(paths).order[-1]).attempt(1)
    make_folder(made.folder)
    write_record(made.attempt, make_attempt(owner))
    if ended:
        write_record(made.exit, make_exit(**ended))


def supervise(paths: StudyPaths, owner: Owner) -> None:
    write_record(paths.supervisor, make_supervisor(owner, slots=()))


DEAD = replace(current_owner(), start_ticks=1)


def fail(paths: StudyPaths) -> None:
    finish(paths, but=1)
    attempt(paths, DEAD, outcome="failed", cause="fault", reason="no")


def leave_workers(paths: StudyPaths) -> None:
    supervise(paths, DEAD)
    attempt(paths, current_owner())


def stop(paths: StudyPaths) -> None:
    supervise(paths, current_owner())
    request(paths, "cancel")


def pause(paths: StudyPaths) -> None:
    supervise(paths, current_owner())
    request(paths, "pause")


def damage(paths: StudyPaths) -> None:
    finish(paths)
    attempt(paths, DEAD)
    note_damage(paths.run(read_plan(paths).order[-1]), make_result(), "predictions.npy is damaged")


SITUATIONS: dict[str, tuple[Callable[[StudyPaths], None], str]] = {
    "untouched": (lambda paths: None, "incomplete"),
    "all done": (finish, "done"),
    "one left": (lambda paths: finish(paths, but=1), "incomplete"),
    "one failed": (fail, "failed"),
    "supervised": (lambda paths: supervise(paths, current_owner()), "running"),
    "supervisor gone, worker alive": (leave_workers, "running"),
    "asked to stop": (stop, "stopping"),
    "paused": (pause, "paused"),
    "cancelled": (lambda paths: request(paths, "cancel"), "cancelled"),
    "damaged files": (damage, "failed"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_list_and_view_agree(study: StudyPaths, name: str) -> None:
    make, expected = SITUATIONS[name]
    make(study)
    summary, snapshot = summarise_study(study), StudyView(study).refresh()
    assert (summary.state, snapshot.state) == (expected, expected)
    assert (summary.done, summary.total) == (snapshot.counts.get("done", 0), len(snapshot.runs))
    if expected == "failed":
        assert summary.failed == snapshot.counts["failed"] == 1


def test_study_that_cannot_be_read_is_damaged(study: StudyPaths) -> None:
    study.plan.write_text("{")
    assert summarise_study(study).state == "damaged"


def test_figures_are_of_the_arm_that_varies_most_and_of_equal_ones_of_that_which_disagrees_most(
    study: StudyPaths,
) -> None:
    def head(*arms: tuple[str, list[str], float]) -> tuple[str, float, float | None] | None:
        made = [make_measures(name=n, vary=v, accuracy_sd=d / 10, disagreement=d) for n, v, d in arms]
        write_metrics(study.metrics, StudyMeasures(study="s", arms=tuple(made)))
        return summarise_study(study).headline

    one_ulp, tenth = ("1 ulp", ["bit"], 0.0), ("1e-1", ["bit"], 8.0)
    assert head(one_ulp, tenth, ("1e-3", ["bit"], 2.0)) == ("1e-1", 0.8, 8.0)
    assert head(tenth, ("all", ["init", "shuffle"], 4.0), one_ulp) == ("all", 0.4, 4.0)


def test_results_are_read_once_and_damage_is_seen_later(study: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(study)
    summaries = StudySummaries()
    assert summaries.summarise(study).state == "done"
    with monkeypatch.context() as patch:
        patch.setattr("engine.study.summary.read_result", lambda run: pytest.fail("was read already"))
        assert summaries.summarise(study).state == "done"
    damage(study)
    assert summaries.summarise(study).state == "failed"
