"""A study in one line, cheap enough to be made for every study of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import StudyError

from .control import read_control
from .files import read_json
from .paths import StudyPaths
from .study import read_plan
from .view import is_supervised

State = Literal["done", "running", "paused", "cancelled", "incomplete", "damaged"]


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """What a list of studies shows."""

    paths: StudyPaths
    state: State
    done: int = 0
    total: int = 0
    changed: float = 0.0
    """Unix time of the last change."""
    fault: str | None = None
    """Why it cannot be read."""
    headline: tuple[str, float, float | None] | None = None
    """Name, accuracy SD or perplexity SD, and disagreement of the arm that varies most sources."""


def summarise_study(paths: StudyPaths) -> StudySummary:
    """Look at a study: its plan, which results there are, whether it is being trained."""
    changed = _newest(paths)
    try:
        plan = read_plan(paths)
    except StudyError as error:
        return StudySummary(paths=paths, state="damaged", changed=changed, fault=str(error))
    done = sum(run.result.exists() and not run.damage.exists() for run in map(paths.run, plan.order))
    control, supervised = read_control(paths), is_supervised(read_json(paths.supervisor) or {})
    state: State = "incomplete"
    if done == len(plan.order):
        state = "done"
    elif supervised:
        state = "paused" if control.paused else "running"
    elif control.cancelled:
        state = "cancelled"
    return StudySummary(
        paths=paths, state=state, done=done, total=len(plan.order), changed=changed, headline=_headline(paths)
    )


def _newest(paths: StudyPaths) -> float:
    newest = 0.0
    for path in (paths.plan, paths.supervisor, paths.metrics):
        try:
            newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return newest


def _headline(paths: StudyPaths) -> tuple[str, float, float | None] | None:
    arms = (read_json(paths.metrics) or {}).get("arms")
    if not isinstance(arms, list):
        return None
    found = [
        (len(arm.get("vary") or ()), str(arm.get("name")), spread, arm.get("disagreement"))
        for arm in arms
        if isinstance(arm, dict) and (spread := arm.get("accuracy_sd", arm.get("perplexity_sd"))) is not None
    ]
    if not found:
        return None
    _, name, spread, disagreement = max(found, key=lambda row: row[0])
    return name, spread, disagreement
