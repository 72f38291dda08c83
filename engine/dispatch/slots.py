"""The supervisor's side of one slot: its worker process, how that ended, how often for nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass

from engine.dispatch.children import command, start_detached
from engine.dispatch.devices import Slot
from engine.dispatch.leases import Lease
from engine.study.paths import StudyPaths
from engine.study.supervisor_record import SlotRecord

MAX_FRUITLESS = 3
"""Workers that may end in a row without having claimed a run before the slot is given up."""

EXIT_STORE_FULL = 73
"""A worker's exit status when the store had no room for longer than it waits; EX_CANTCREAT of sysexits.h."""


@dataclass
class SlotWorker:
    """One slot and the worker process that fills it."""

    slot: Slot
    process: subprocess.Popen[bytes] | None = None
    attempts_at_start: int = 0
    """Attempts that the study had when the worker started: without one more, it ended for nothing."""
    fruitless: int = 0
    last_exit: int | None = None

    @property
    def given_up(self) -> bool:
        """Whether nothing more is tried here."""
        return self.fruitless >= MAX_FRUITLESS

    def start(self, paths: StudyPaths, session: str, attempts: int) -> None:
        """Put a worker into the slot."""
        arguments = [
            str(paths.folder),
            "--slot",
            self.slot.name,
            "--lease",
            self.slot.key,
            "--session",
            session,
        ]
        self.attempts_at_start = attempts
        self.process = start_detached(
            command("engine.training", "worker", *arguments),
            log=paths.supervisor_log,
            environment=self.slot.environment,
        )

    def reap(self, attempts: int) -> int | None:
        """The exit status of a worker that has ended since the last look; None where there is none."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process, self.last_exit = None, status
        fruitful = status == 0 or attempts > self.attempts_at_start
        self.fruitless = 0 if fruitful else self.fruitless + 1
        return status

    def send(self, number: signal.Signals) -> None:
        """Signal the worker and whatever it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def describe(self) -> SlotRecord:
        """The slot as supervisor.json shows it."""
        if self.given_up:
            message = f"{MAX_FRUITLESS} workers ended without training (last exit status {self.last_exit})"
            return SlotRecord(self.slot.name, "given up", message)
        if self.process is None:
            return SlotRecord(self.slot.name, "idle")
        holder = Lease(self.slot.key).read_holder()
        if not holder:
            return SlotRecord(self.slot.name, "starting")
        if holder.get("pid") == self.process.pid:
            return SlotRecord(self.slot.name, "training")
        message = f"the slot is held by study {holder.get('study', '?')} (process {holder.get('pid', '?')})"
        return SlotRecord(self.slot.name, "waiting", message)
