"""Requests to a running study: cancel, pause, resume, of the whole study or of single runs.

Each request is a file of its own that is never changed; what holds is the fold over all of them in order.
Whoever views a study may write one; workers and the supervisor read them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from .files import make_folder, read_json, write_json
from .paths import StudyPaths

Verb = Literal["cancel", "pause", "resume"]
VERBS = ("cancel", "pause", "resume")
FORMAT = 1


@dataclass(frozen=True)
class Control:
    """What the requests so far add up to."""

    cancelled: bool = False
    """The whole study is to stop."""
    paused: bool = False
    """No run is to be started or continued."""
    cancelled_runs: frozenset[str] = field(default_factory=frozenset)
    paused_runs: frozenset[str] = field(default_factory=frozenset)

    def stops(self, run_id: str) -> bool:
        """Whether this run is to end."""
        return self.cancelled or run_id in self.cancelled_runs

    def holds(self, run_id: str) -> bool:
        """Whether this run is to wait."""
        return self.paused or run_id in self.paused_runs


def request(paths: StudyPaths, verb: Verb, *, runs: Iterable[str] | None = None) -> None:
    """Leave a request in the study's control folder.

    Args:
        paths: The study.
        verb: resume takes back both cancel and pause.
        runs: The run ids that it is about; None for the whole study.
    """
    make_folder(paths.control)
    content = {"v": FORMAT, "verb": verb, "runs": None if runs is None else sorted(runs), "time": time.time()}
    write_json(paths.control / f"{time.time_ns():020d}-{os.getpid()}-{verb}.json", content)


def read_control(paths: StudyPaths) -> Control:
    """Fold the requests in the order of their names; unreadable ones count for nothing."""
    try:
        names = sorted(name for name in os.listdir(paths.control) if name.endswith(".json"))
    except OSError:
        return Control()
    control = Control()
    for name in names:
        content = read_json(paths.control / name)
        if content is not None and content.get("verb") in VERBS:
            control = apply(control, content)
    return control


def apply(control: Control, content: dict[str, Any]) -> Control:
    """The state after one more request."""
    verb, runs = content["verb"], content.get("runs")
    cancelled, paused = control.cancelled_runs, control.paused_runs
    if runs is None:
        if verb == "resume":
            return Control()
        return Control(control.cancelled or verb == "cancel", control.paused or verb == "pause", cancelled, paused)
    chosen = frozenset(str(run) for run in runs)
    if verb == "resume":
        cancelled, paused = cancelled - chosen, paused - chosen
    elif verb == "cancel":
        cancelled = cancelled | chosen
    else:
        paused = paused | chosen
    return Control(control.cancelled, control.paused, cancelled, paused)
