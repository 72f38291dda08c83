"""Makes what a page about a study is made of, from measures alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from engine.plan.records import PlannedArm
from engine.study.measured import MeasuredStudy, read_measured
from engine.study.metrics_record import StudyMeasures
from engine.study.paths import StudyPaths
from tui.commands.page_data import gather_page
from tui.html.content import StudyData

KEPT = Path(__file__).parents[1] / "study" / "kept"


def make_data(arms: list[Any], *, reference: str | None = None, curves: tuple[Any, ...] = ()) -> StudyData:
    """Return the data of a study that has these arms, and for the rest is the one that is kept."""
    paths = StudyPaths(KEPT)
    kept = gather_page(paths, read_measured(paths))
    planned = tuple(
        PlannedArm(name=a.name, vary=a.vary, runs=(), empty={}, group=1, onset=None, crossed=()) for a in arms
    )
    plan = msgspec.structs.replace(kept.plan, reference=reference, arms=planned)
    return replace(
        kept, plan=plan, measured=MeasuredStudy(StudyMeasures(study="s", arms=tuple(arms)), curves), similarity=()
    )
