"""Trains step by step: whoever walks two trainings side by side can look at both between any two steps.

The task is the one that workers train, in a thread of its own that stands still until it is told to go on.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.recipe import Recipe
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.stopping import Stopped
from engine.training.tasks.task import Evaluation, Task


@dataclass(frozen=True)
class Halt:
    """Says where a training stands."""

    epoch: int
    step: int | None
    """The step that comes next, from 0; None at the end of the epoch."""


class Walker:
    """Trains one task from an epoch on, one step at a time."""

    def __init__(self, task: Task[Any], recipe: Recipe, *, first: int = 1) -> None:
        """Take a task that stands at the end of the epoch before the first one; nothing is trained yet."""
        self.task, self.recipe, self.first = task, recipe, first
        self.evaluations: Sequence[Evaluation] = ()
        """Of each replica at the end of the latest epoch."""
        self._halt: Halt | None = None
        self._step = 0
        self._failure: BaseException | None = None
        self._closing = False
        self._turn, self._arrived = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._train, daemon=True)
        self._thread.start()

    def go(self) -> Halt | None:
        """Train up to before the next step, or to the end of the epoch; None where the training has ended."""
        self._turn.release()
        self._arrived.acquire()
        if self._failure is not None:
            raise self._failure
        return self._halt

    def use_kernels(self, epoch: int) -> None:
        """Set the flags of an epoch: they are the process's, and a training beside this one may have other ones."""
        set_kernels(self.recipe.at(epoch).lowlevel, self.recipe.train.precision)

    def close(self) -> None:
        """End the training where it stands."""
        self._closing = True
        self._turn.release()
        self._thread.join()

    def _train(self) -> None:
        use_one_thread()  # which torch keeps for each thread
        self._turn.acquire()
        try:
            for epoch in range(self.first, self.recipe.train.epochs + 1):
                if self._closing:
                    return
                self.use_kernels(epoch)
                self._halt, self._step = Halt(epoch, 0), 0
                losses = self.task.train_epoch(epoch, self._stand)
                self.evaluations = self.task.evaluate(epoch)
                self.task.keep(epoch, self.evaluations)
                self._wait(Halt(epoch, None))
                if not all(map(math.isfinite, losses)) or not all(one.is_finite for one in self.evaluations):
                    break  # where a run diverges it ends
            self._halt = None
        except Stopped:
            pass
        except BaseException as failure:  # whoever walks is to know, whatever it is
            self._failure = failure
        finally:
            self._arrived.release()

    def _stand(self) -> bool:
        """Wait before a step; asked by the task, which ends where this is true."""
        assert self._halt is not None, "an epoch has begun"
        self._wait(Halt(self._halt.epoch, self._step))
        self._step += 1
        return self._closing

    def _wait(self, halt: Halt) -> None:
        self._halt = halt
        self._arrived.release()
        self._turn.acquire()
        self.use_kernels(halt.epoch)
