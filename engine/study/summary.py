"""A study in one line, cheap enough to be made for every study of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StudyError
from engine.study.control import Control, read_control
from engine.study.decision_record import CompareSettings, DecisionRecord, read_decision
from engine.study.looks import Look, begin_look, end_look
from engine.study.metrics_record import find_metrics
from engine.study.notes import NOTHING, NoteRecord, read_note, take_note
from engine.study.opening import is_there
from engine.study.paths import StudyPaths
from engine.study.records import Damage
from engine.study.run_state import Status, read_result, read_state
from engine.study.study_plan import read_plan
from engine.study.study_state import StudyState, derive_state
from engine.study.supervisor_record import is_supervised


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """The facts about a study that a list of studies shows."""

    paths: StudyPaths
    state: StudyState
    done: int = 0
    total: int = 0
    failed: int = 0
    """Runs whose last attempt failed; not counted while a supervisor is alive."""
    changed: float = 0.0
    """Unix time of the last change."""
    fault: str | None = None
    """Why it cannot be read."""
    headline: tuple[str, float, float | None] | None = None
    """Name, accuracy SD or perplexity SD, and disagreement of the arm that varies most sources."""
    compare: CompareSettings | None = None
    """The two arms whose pairs it trains until they are told apart; None of other studies."""
    decision: DecisionRecord | None = None
    """What was decided of them; None where nothing is yet."""
    note: NoteRecord | Damage = NOTHING
    """What a person says of it."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the study; none where they cannot be read."""
        return take_note(self.note).tags


class StudySummaries:
    """Makes summaries again and again; looks again at studies that have changed, and at each finished run once."""

    def __init__(self) -> None:
        """Start without knowledge of any study."""
        self._done: dict[Path, set[str]] = {}
        self._looks: dict[Path, tuple[Look, StudySummary]] = {}

    def summarise(self, paths: StudyPaths) -> StudySummary:
        """Return the summary of a study, made anew where it may be another one by now."""
        look, summary = self._looks.get(paths.folder, (None, None))
        if look is not None and summary is not None and look.still_holds(None):
            return summary
        beginning = begin_look([paths.folder, paths.control])
        summary = self._look_at(paths)
        self._looks.pop(paths.folder, None)
        # Nobody trains such a study, and whoever begins to writes supervisor.json first.
        if summary.state in ("done", "cancelled", "failed", "incomplete"):
            look = end_look(beginning, [folder for folder in (paths.folder, paths.control) if folder.is_dir()], None)
            if look is not None:
                self._looks[paths.folder] = (look, summary)
        return summary

    def _look_at(self, paths: StudyPaths) -> StudySummary:
        """Look at a study: its plan, which runs are done, and whether it is being trained; or say why that fails."""
        try:
            return self._summarise(paths)
        except StudyError as error:
            return StudySummary(paths=paths, state="damaged", changed=_newest(paths), fault=str(error))

    def _summarise(self, paths: StudyPaths) -> StudySummary:
        plan, changed = read_plan(paths), _newest(paths)
        known = self._done.setdefault(paths.folder, set())
        done: set[str] = set()
        left: list[str] = []
        for run_id in plan.order:
            run = paths.run(run_id)
            if (run_id in known and not is_there(run.damage)) or read_result(run) is not None:
                done.add(run_id)
            else:
                left.append(run_id)
        self._done[paths.folder] = done
        control, supervised = read_control(paths), is_supervised(paths)
        # While a supervisor is alive, the state of single runs does not change the state of the study.
        counts = Counter[Status]() if supervised else _count(paths, left, control)
        state = derive_state(
            total=len(plan.order),
            done=len(done),
            failed=counts["failed"],
            running=counts["running"],
            supervised=supervised,
            control=control,
        )
        compare = plan.compare if plan.compare is not None and plan.compare.until_decided else None
        return StudySummary(
            paths=paths,
            state=state,
            compare=compare,
            decision=read_decision(paths, plan.arms, compare),
            done=len(done),
            total=len(plan.order),
            failed=counts["failed"],
            changed=changed,
            headline=_headline(paths),
            note=read_note(paths),
        )


def summarise_study(paths: StudyPaths) -> StudySummary:
    """Look at a study once; see `StudySummaries`."""
    return StudySummaries().summarise(paths)


def _count(paths: StudyPaths, runs: Iterable[str], control: Control) -> Counter[Status]:
    return Counter(read_state(paths.run(run), control=control, session=None, run_id=run).status for run in runs)


def _newest(paths: StudyPaths) -> float:
    newest = 0.0
    for path in (paths.plan, paths.supervisor, paths.metrics):
        try:
            newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return newest


def _headline(paths: StudyPaths) -> tuple[str, float, float | None] | None:
    metrics = find_metrics(paths.metrics)
    found = [
        (len(arm.vary), arm.name, spread, arm.find("disagreement").value)
        for arm in (() if metrics is None else metrics.arms)
        if (spread := arm.find("perplexity_sd" if arm.text else "accuracy_sd").value) is not None
    ]
    if not found:
        return None
    _, name, spread, disagreement = max(found, key=lambda row: (row[0], row[3] or 0.0, row[2]))
    return name, spread, disagreement
