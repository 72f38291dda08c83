"""Requests to a running study: cancel, pause, resume, of the whole study or of single runs.

Each request is a file of its own that is never changed; what holds is the fold over all of them in the order of
their numbers. A request takes the number behind the highest that is there: no clock decides which one came last.
Whoever views a study may write one; workers and the supervisor read them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import MEGABYTE, Record, create_record, find_record

Verb = Literal["cancel", "pause", "resume"]
NUMBERED = re.compile(r"([0-9]{1,40})\.json")
"""Names of requests."""


class RequestRecord(Record, frozen=True, kw_only=True, tag=1):
    """One file of the control folder."""

    max_bytes: ClassVar[int] = 4 * MEGABYTE

    verb: Verb
    runs: tuple[str, ...] | None
    """The run ids that it is about; None for the whole study."""
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
    make_folder(paths.control)
    record = RequestRecord(verb=verb, runs=None if runs is None else tuple(sorted(runs)), time=time.time())
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


def apply(control: Control, request: RequestRecord) -> Control:
    """Return the state after one more request."""
    verb, runs = request.verb, request.runs
    cancelled, paused = control.cancelled_runs, control.paused_runs
    if runs is None:
        if verb == "resume":
            return Control()
        return Control(control.cancelled or verb == "cancel", control.paused or verb == "pause", cancelled, paused)
    chosen = frozenset(runs)
    if verb == "resume":
        cancelled, paused = cancelled - chosen, paused - chosen
    elif verb == "cancel":
        cancelled = cancelled | chosen
    else:
        paused = paused | chosen
    return Control(control.cancelled, control.paused, cancelled, paused)
