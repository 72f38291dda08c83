"""Requests to a running study: cancel, pause, resume, of the whole study or of single runs; and to try a run again.

Each request is a file of its own that is never changed; what holds is the fold over all of them in the order of
their numbers. A request takes the number behind the highest that is there: no clock decides which one came last.
Whoever views a study may write one; workers and the supervisor read them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import MEGABYTE, Record, create_record, find_record

Verb = Literal["cancel", "pause", "resume"]
AnyVerb = Literal["cancel", "pause", "resume", "retry"]
NUMBERED = re.compile(r"([0-9]{1,40})\.json")
"""Names of requests."""

READING_S = 600.0
"""Far more than a reader takes between listing the requests and reading them."""


class RequestRecord(Record, frozen=True, kw_only=True, tag=1):
    """One file of the control folder."""

    max_bytes: ClassVar[int] = 4 * MEGABYTE

    verb: AnyVerb
    runs: tuple[str, ...] | None
    """The run ids that it is about; None for the whole study."""
    attempt: int | None = None
    """To retry: the latest attempt that was there. Once there is a later one, the request has been obeyed."""
    time: float = 0.0
    """Unix time; for people only."""


@dataclass(frozen=True)
class Control:
    """The combined effect of all requests so far."""

    cancelled: bool = False
    """The whole study is to stop."""
    paused: bool = False
    """No run is to be started or continued."""
    cancelled_runs: frozenset[str] = field(default_factory=frozenset[str])
    paused_runs: frozenset[str] = field(default_factory=frozenset[str])
    retried: dict[str, int] = field(default_factory=dict[str, int])
    """Run → its latest attempt when it was last asked to be tried again: that one and those before no longer count."""

    def stops(self, run_id: str) -> bool:
        """Tell whether this run is to end."""
        return self.cancelled or run_id in self.cancelled_runs

    def holds(self, run_id: str) -> bool:
        """Tell whether this run is to wait."""
        return self.paused or run_id in self.paused_runs


def request(paths: StudyPaths, verb: Verb, *, runs: Iterable[str] | None = None) -> None:
    """Leave a request in the study's control folder.

    Args:
        paths: The study.
        verb: resume takes back both cancel and pause.
        runs: The run ids that it is about; None for the whole study.
    """
    _write(paths, RequestRecord(verb=verb, runs=None if runs is None else tuple(sorted(runs)), time=time.time()))


def request_retry(paths: StudyPaths, run_id: str, *, attempt: int) -> None:
    """Ask for a run to be tried again, whatever became of its attempts so far.

    Args:
        paths: The study.
        run_id: The run.
        attempt: The number of its latest attempt: however often this is asked for, it is tried again once.
    """
    _write(paths, RequestRecord(verb="retry", runs=(run_id,), attempt=attempt, time=time.time()))


def _write(paths: StudyPaths, record: RequestRecord) -> None:
    make_folder(paths.control)
    number = max(_list_requests(paths), default=0) + 1
    while not create_record(paths.control / f"{number:08d}.json", record):
        number += 1


def _list_requests(paths: StudyPaths) -> dict[int, str]:
    """Return number → file name of every request in the control folder."""
    try:
        names = os.listdir(paths.control)
    except (OSError, ValueError):
        return {}
    return {int(match[1]): name for name in names if (match := NUMBERED.fullmatch(name))}


def read_control(paths: StudyPaths) -> Control:
    """Fold the requests in the order of their numbers; unreadable ones count for nothing."""
    control = Control()
    for _, name in sorted(_list_requests(paths).items()):
        found = find_record(paths.control / name, RequestRecord)
        if found is not None:
            control = apply(control, found)
    return control


def find_obeyed(paths: StudyPaths) -> list[Path]:
    """Return the requests that later ones take back, or repeat nothing new after earlier ones.

    What holds does not depend on them. A request counts as taken back only by one that is older than READING_S: a
    reader that has listed the folder before reads the files that it has seen.
    """
    numbered = [name for _, name in sorted(_list_requests(paths).items())]
    found = [(name, record) for name in numbered if (record := find_record(paths.control / name, RequestRecord))]
    return [paths.control / name for name in _find_taken_back(paths, found) | _find_repeated(found)]


def _find_taken_back(paths: StudyPaths, found: list[tuple[str, RequestRecord]]) -> set[str]:
    """Name the requests that are about nothing but runs which a later request has go on."""
    names: set[str] = set()
    resumed: set[str] = set()
    everything = False
    for name, record in reversed(found):
        if record.verb == "retry":  # what it asks for is done by an attempt, not by a later request
            continue
        if everything or (record.runs is not None and resumed.issuperset(record.runs)):
            names.add(name)
        elif record.verb == "resume" and _is_old(paths.control / name):
            everything = record.runs is None
            resumed.update(record.runs or ())
    return names


def _find_repeated(found: list[tuple[str, RequestRecord]]) -> set[str]:
    """Name the requests to cancel, pause or retry what is cancelled, paused or retried at that point already."""
    control, names = Control(), set[str]()
    for name, record in found:
        after = apply(control, record)
        if after == control and record.verb != "resume":
            names.add(name)
        control = after
    return names


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > READING_S
    except OSError:
        return False


class ControlReader:
    """Reads a study's requests again and again; each file is read once, because none is ever changed."""

    def __init__(self, paths: StudyPaths) -> None:
        """Take the study; nothing is read yet."""
        self.paths = paths
        self._known: dict[str, RequestRecord] = {}
        self._folded: tuple[tuple[str, ...], Control] = ((), Control())

    def __call__(self) -> Control:
        """Return what holds now; see `read_control`."""
        names = tuple(name for _, name in sorted(_list_requests(self.paths).items()))
        if names == self._folded[0]:
            return self._folded[1]
        found: dict[str, RequestRecord] = {}
        for name in names:
            record = self._known.get(name) or find_record(self.paths.control / name, RequestRecord)
            if record is not None:
                found[name] = record
        control = Control()
        for record in found.values():
            control = apply(control, record)
        self._known = found
        if len(found) == len(names):  # one that cannot be read now may be readable later
            self._folded = (names, control)
        return control


def apply(control: Control, request: RequestRecord) -> Control:
    """Return the state after one more request."""
    verb, runs = request.verb, request.runs
    cancelled, paused = control.cancelled_runs, control.paused_runs
    if runs is None:
        if verb == "resume":
            return Control(retried=control.retried)
        return replace(
            control, cancelled=control.cancelled or verb == "cancel", paused=control.paused or verb == "pause"
        )
    chosen = frozenset(runs)
    if verb == "retry":
        again = dict.fromkeys(runs, request.attempt or 0)
        retried = control.retried | {run: max(number, control.retried.get(run, 0)) for run, number in again.items()}
        return replace(control, cancelled_runs=cancelled - chosen, paused_runs=paused - chosen, retried=retried)
    if verb == "resume":
        cancelled, paused = cancelled - chosen, paused - chosen
    elif verb == "cancel":
        cancelled = cancelled | chosen
    else:
        paused = paused | chosen
    return replace(control, cancelled_runs=cancelled, paused_runs=paused)
