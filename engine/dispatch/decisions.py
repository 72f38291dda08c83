"""Ends a study's training of pairs of replicas once their difference is decided."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from engine.errors import StudyError
from engine.study.control import request
from engine.study.decision_record import CompareSettings, DecisionRecord, digest_pairs
from engine.study.paired import Pairs, count_pairs
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.rounds import find_first_end, find_rounds
from engine.study.snapshot import StudySnapshot
from engine.study.store_trouble import StoreTrouble
from engine.study.study_plan import StudyPlan
from engine.study.view import StudyView

LOG = logging.getLogger(__name__)


@dataclass
class PairWatch:
    """Remembers how many pairs were looked at; see `look`."""

    seen: int = 0
    trouble: StoreTrouble = field(default_factory=lambda: StoreTrouble(LOG))

    def look(self, paths: StudyPaths, view: StudyView, snapshot: StudySnapshot) -> bool:
        """Write decision.json when the pairs that are through are enough, and have the others end.

        Returns:
            Whether that was written now, so that the study's plan is another one.
        """
        whole, settings = view.followed.whole, snapshot.compare
        if settings is None or not settings.until_decided or snapshot.decision is not None:
            return False
        pairs = count_pairs(snapshot.arms, settings)
        if pairs.passed == self.seen:
            return False
        self.seen = pairs.passed
        decision = decide(pairs, whole, settings)
        if decision is None:
            return False
        kept = frozenset(whole.cut(decision).order)
        left = [run.id for run in snapshot.runs.values() if run.id not in kept and run.state.status != "done"]
        try:
            if left:
                request(paths, "cancel", runs=left)
            write_record(paths.decision, decision)
        except StudyError as error:
            self.trouble.note(error)
            self.seen = 0
            return False
        self.trouble.end()
        return True


def decide(pairs: Pairs, plan: StudyPlan, settings: CompareSettings) -> DecisionRecord | None:
    """Return what the pairs that are through decide, from the first of them on; None where they decide nothing."""
    enough = find_first_end(find_rounds(pairs.differences), settings.margin)
    end = None if enough is None else enough.find_end(settings.margin)
    if enough is None or end is None:
        return None
    number = pairs.numbers[enough.pairs - 1]
    digest = digest_pairs(plan.arms, settings, number)
    if digest is None:
        return None
    return DecisionRecord(
        settings=settings,
        runs_sha256=digest,
        pairs=number,
        counted=enough.pairs,
        difference=enough.difference,
        interval=enough.ends,
        end=end,
    )
