"""Reads what one run's files say beside its curve: what its recipe has of its own, and its log's end."""

from __future__ import annotations

from dataclasses import dataclass, fields

from engine.recipe import Recipe
from engine.study.logs import read_shown
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import SpecRecord
from tui.app.follow import Picture
from tui.text.recipes import describe_differences

LOG_LINES = 200
"""Lines at the end of a log that are shown beside the other facts of a run."""


@dataclass(frozen=True)
class RunFacts:
    """Holds what was read of one run's files."""

    run: str
    differences: tuple[str, ...] | None = None
    """Settings in which it differs from replica 1; None where one of both recipes cannot be read."""
    log: tuple[str, ...] = ()
    """The end of its latest log."""
    shared: tuple[str, ...] = ()
    """Other arms that it counts for."""


def read_facts(paths: StudyPaths, picture: Picture, arm: str, run: str) -> RunFacts:
    """Read what there is to know of a run.

    Args:
        paths: The study.
        picture: The study as it was last read.
        arm: The arm that is looked at.
        run: The run's id.
    """
    place = picture.find_arm(arm)
    first = None if place is None else place[1].runs[0].id
    own, other = (None if one is None else find_record(paths.run(one).spec, SpecRecord) for one in (run, first))
    differences = None if own is None or other is None else list_differences(own.recipe, other.recipe)
    shared = [one.name for one in picture.snapshot.arms if one.name != arm and any(r.id == run for r in one.runs)]
    attempts = paths.run(run).list_attempts()
    try:
        log = read_shown(attempts[-1].log).splitlines() if attempts else []
    except OSError as error:
        log = [f"{attempts[-1].log}: {error.strerror}"]
    return RunFacts(run, differences, tuple(log[-LOG_LINES:]), tuple(shared))


def list_differences(one: Recipe, first: Recipe) -> tuple[str, ...]:
    """Name what differs between the recipe of a run and that of replica 1, as "seeds.init 7 instead of 1"."""
    every = [field.name for field in fields(Recipe)]
    return tuple(describe_differences(one, first, parts=every, between="instead of"))
