"""Reads what a page about a study needs beside its measures: protocol, what runs were trained with, similarities."""

from __future__ import annotations

from collections import Counter
from typing import Any

import tomli

from engine.errors import StudyError
from engine.protocol.checks import is_table
from engine.protocol.load import MAX_FILE_BYTES
from engine.study.decision_record import read_decision
from engine.study.measured import MeasuredStudy
from engine.study.notes import find_note
from engine.study.opening import read_regular
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord, Versions, read_arm_recipes
from engine.study.run_state import find_result
from engine.study.similarity_record import find_similarity
from engine.study.study_plan import StudyPlan, read_plan
from tui.html.content import RunsSummary, StudyData, TrainedWith
from tui.text.notes import list_said


def gather_page(paths: StudyPaths, measured: MeasuredStudy, damage: tuple[str, ...] = ()) -> StudyData:
    """Gather everything that a page about a study is made of.

    Args:
        paths: The study.
        measured: Its measures, up to date.
        damage: What is said of damaged runs.

    Raises:
        StudyError: If the plan has gone or is damaged.
    """
    plan, protocol = read_plan(paths), read_protocol(paths)
    return StudyData(
        plan=plan,
        measured=measured,
        similarity=find_similarity(paths.cka),
        runs=read_runs(paths, plan),
        protocol=protocol,
        question=find_description(protocol),
        damage=damage,
        recipes=read_arm_recipes(paths, plan.arms),
        said=tuple(list_said(find_note(paths))),
        decision=read_decision(paths, plan.arms, plan.compare),
    )


def read_protocol(paths: StudyPaths) -> str:
    """Return the text of a study's protocol; nothing where it cannot be read."""
    try:
        return read_regular(paths.protocol, MAX_FILE_BYTES).decode(errors="replace")
    except (OSError, StudyError):
        return ""


def find_description(protocol: str) -> str:
    """Return the description in a protocol's text; nothing where it has none or is no protocol."""
    try:
        section: Any = tomli.loads(protocol).get("protocol")
    except (ValueError, RecursionError):
        return ""
    said = section.get("description") if is_table(section) else None
    return said if isinstance(said, str) else ""


def read_runs(paths: StudyPaths, plan: StudyPlan) -> RunsSummary:
    """Read when, where and with what the finished runs of a study were trained."""
    counts = Counter[tuple[str, str]]()
    starts: list[str] = []
    ends: list[str] = []
    seconds = 0.0
    for run_id in plan.order:
        run = paths.run(run_id)
        result = find_result(run).result
        if result is None:
            continue
        ends.append(result.finished)
        seconds += result.seconds
        attempt = find_record(run.attempt(result.attempt).attempt, AttemptRecord)
        if attempt is None:
            counts[("unknown", "")] += 1
        else:
            counts[(attempt.device, describe_versions(attempt.versions))] += 1
            starts.append(attempt.started)
    trained = tuple(TrainedWith(device, versions, count) for (device, versions), count in counts.most_common())
    return RunsSummary(len(ends), trained, min(starts, default=None), max(ends, default=None), seconds)


def describe_versions(versions: Versions) -> str:
    """Return versions in one line, without what plays no part."""
    parts = {"python": versions.python, "torch": versions.torch, "numpy": versions.numpy, "CUDA": versions.cuda}
    return ", ".join(f"{name} {version}" for name, version in parts.items() if version is not None)
