"""Answers as Slurm's commands do, where there is no Slurm."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from engine.dispatch.executors import slurm, slurm_left, slurm_queue
from engine.dispatch.executors.slurm_queue import Answer, JobQueue


@dataclass
class Controller:
    """Answers as sbatch, squeue and scancel do."""

    jobs: dict[str, str] = field(default_factory=dict)
    """Number → what squeue says behind it: state, reason, node, restarts, exit code."""
    away: str | None = None
    refusal: str | None = None
    asked: list[list[str]] = field(default_factory=list)

    def ask(self, arguments: Sequence[str], *, text: str = "") -> Answer:
        self.asked.append(list(arguments))
        if self.away is not None:
            return Answer(1, "", f"slurm_load_jobs error: {self.away}\n")
        if arguments[0] == "sbatch":
            if self.refusal is not None:
                return Answer(1, "", self.refusal)
            number = str(len(self.jobs) + 1)
            self.jobs[number] = "PENDING|Priority||0|0"
            return Answer(0, f"{number};cluster\n", "")
        if arguments[0] == "scancel":
            self.jobs |= {one: "CANCELLED|None||0|0" for one in arguments[1:] if one.isdigit()}
        return Answer(0, "".join(f"{number}|{rest}|\n" for number, rest in self.jobs.items()), "")

    def count(self, program: str) -> int:
        return sum(arguments[0] == program for arguments in self.asked)


def answer_for_slurm(monkeypatch: pytest.MonkeyPatch) -> Controller:
    """Return what all commands of Slurm are answered by from now on, at once."""
    made = Controller()
    for module in (slurm, slurm_left, slurm_queue):
        monkeypatch.setattr(module, "ask", made.ask)

    def look(queue: JobQueue) -> None:
        if queue.is_due(time.monotonic()):
            queue.ask_now()

    monkeypatch.setattr(JobQueue, "look", look)
    return made
