"""Records for the supervisor what happens in a place: its worker, how the last one ended, how many claimed no run."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from engine.dispatch.executors.base import Executor, WorkerHandle, WorkerRequest
from engine.study.supervisor_record import SlotRecord

LOG = logging.getLogger(__name__)

MAX_FRUITLESS = 3
"""Workers that may end in a row without having claimed a run before the place is given up."""


@dataclass
class Place:
    """Keeps one of an executor's places filled."""

    name: str
    worker: WorkerHandle | None = None
    attempts_at_start: int = 0
    """Attempts that the study had when the worker started: without one more, it ended for nothing."""
    fruitless: int = 0
    last_exit: int | None = None
    dismissed: bool = False
    """Whether the worker was told to end because nothing is left for it."""

    @property
    def given_up(self) -> bool:
        """Tell whether no further worker is started here, because too many in a row ended without claiming a run."""
        return self.fruitless >= MAX_FRUITLESS

    def fill(self, executor: Executor, request: WorkerRequest, attempts: int) -> None:
        """Start a worker here; `attempts` is the number of attempts that the study has so far."""
        self.attempts_at_start, self.dismissed = attempts, False
        self.worker = executor.start_worker(self.name, request)

    def reap(self, attempts: int) -> int | None:
        """Return the exit status of a worker that has ended since the last look; None where there is none."""
        if self.worker is None or (status := self.worker.poll()) is None:
            return None
        self.worker, self.last_exit = None, status
        fruitful = status == 0 or self.dismissed or attempts > self.attempts_at_start
        self.fruitless = 0 if fruitful else self.fruitless + 1
        return status

    def end_silent(self, training: Collection[int]) -> None:
        """Kill the worker where it hangs without a run; see `WorkerHandle.end_silent`."""
        why = None if self.worker is None else self.worker.end_silent(training)
        if why is not None:
            LOG.warning("%s: its worker was ended without a run: %s", self.name, why)

    def dismiss_waiting(self) -> None:
        """Tell the worker to end if it still waits for its slot: nothing is left for it to train."""
        if self.worker is not None and not self.dismissed and self.worker.describe().state == "waiting":
            self.dismissed = True
            self.worker.stop()

    def describe(self) -> SlotRecord:
        """Return the place as supervisor.json shows it."""
        if self.given_up:
            message = f"{MAX_FRUITLESS} workers ended without training (last exit status {self.last_exit})"
            return SlotRecord(self.name, "given up", message)
        if self.worker is None:
            return SlotRecord(self.name, "idle")
        seen = self.worker.describe()
        return SlotRecord(self.name, seen.state, seen.message, seen.host, seen.job)
