"""Defines what the tab of comparisons asks and is told: the arms, a question about two of them, the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.decision_record import CompareSettings
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths, iterate_studies
from engine.study.study_plan import read_plan
from tui.commands.comparing import gather_comparison, write_comparison
from tui.commands.two_arms import compare_pair
from tui.text.arms_compared import Pair
from tui.text.tables import arm_name

STEPS = (1.0, 2.0, 5.0)
"""Margins go by these and their tenfolds."""


@dataclass(frozen=True)
class Candidate:
    """An arm that can be compared."""

    paths: StudyPaths
    number: int
    """Its place in its study's plan."""
    arm: ArmMeasures
    own: bool = True
    """Whether it is of the study that is open."""

    @property
    def key(self) -> str:
        """The name that no other arm has."""
        return f"{self.paths.folder}:{self.arm.name}"

    @property
    def label(self) -> str:
        """The name in the lists, with the study's where it is another one."""
        study = "" if self.own else f"{printable(self.paths.name)}, "
        return f"{arm_name(self.arm)}  {study}n = {self.arm.n}"


@dataclass(frozen=True)
class Question:
    """Two arms, what they are compared in, and what would matter."""

    first: Candidate
    second: Candidate
    measure: str | None = None
    """None for the first that both have."""
    margin: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for questions that have the same answer."""
        arms = ((one.key, one.arm.files_sha256, one.arm.n) for one in (self.first, self.second))
        return (*arms, self.measure, self.margin)

    @property
    def arms(self) -> tuple[str, str]:
        """The keys of the arms that it is about."""
        return self.first.key, self.second.key


@dataclass(frozen=True)
class Shown:
    """Holds what is shown of a question: its answer, why there is none, or neither while it is being looked for."""

    question: Question
    pair: Pair | None = None
    fault: str = ""


@dataclass
class CandidatesListed(Message):
    """Brings the measured arms of all studies, those of the study that is open first."""

    candidates: tuple[Candidate, ...]
    settings: CompareSettings | None = None
    """Which two arms the protocol of the study that is open compares."""


@dataclass
class QuestionAnswered(Message):
    """Brings the answer to a question, or why there is none."""

    shown: Shown


def list_candidates(first: StudyPaths, store: Path) -> tuple[Candidate, ...]:
    """Return every arm of a store with two measured replicas or more, those of one study first.

    Args:
        first: The study that comes first; it need not be in the store.
        store: Folder of all studies.
    """
    folders = [first, *(paths for paths in iterate_studies(store) if paths.folder != first.folder)]
    found: list[Candidate] = []
    for paths in folders:
        metrics = find_metrics(paths.metrics)
        arms = () if metrics is None else metrics.arms
        own = paths.folder == first.folder
        found += [Candidate(paths, number, arm, own) for number, arm in enumerate(arms) if arm.n > 1]
    return tuple(found)


def find_settings(paths: StudyPaths) -> CompareSettings | None:
    """Return which two arms a study's protocol compares; None where it names none or cannot be read."""
    try:
        return read_plan(paths).compare
    except NondetError:
        return None


def answer(question: Question) -> Shown:
    """Ask another process how two arms compare, in all measures that both have."""
    if question.first.key == question.second.key:
        return Shown(question, fault="An arm is not compared with itself: choose another one in the second list.")
    sides = [(one.paths, one.arm.name) for one in (question.first, question.second)]
    try:
        pair = compare_pair(sides[0], sides[1], question.measure, question.margin, every=True)
    except NondetError as error:
        return Shown(question, fault=str(error))
    return Shown(question, pair)


def export_comparison(question: Question, folder: Path) -> list[str]:
    """Write how two arms compare as files, and return their names.

    Raises:
        NondetError: If the studies cannot be measured, or the folder cannot be written.
    """
    first, second = question.first, question.second
    names = [(first.arm.name, second.arm.name)]
    return write_comparison(
        gather_comparison(first.paths, second.paths, names, question.measure, question.margin), folder
    )


def step_margin(margin: float, *, up: bool) -> float:
    """Return the next margin of 1, 2, 5 and their tenfolds above another one, or below it."""
    power = 10.0 ** math.floor(math.log10(margin) + 1e-9)
    ladder = [step * power * scale for scale in (0.1, 1.0, 10.0) for step in STEPS]
    close = 1e-6 * margin
    found = min(s for s in ladder if s > margin + close) if up else max(s for s in ladder if s < margin - close)
    return float(f"{found:.6g}")


def begin_margin(half: float) -> float:
    """Return the margin to begin with, about as large as half the width of an interval."""
    return step_margin(half if half > 0 else 1.0, up=True)
