"""Several networks in one process, each with kernels of its own, as if it were alone.

On a GPU their steps go in turn to a few lanes that work at the same time: one small network does not fill a GPU. No
replica knows of the others, so its bits are those of a run alone, and one that leaves, or that fails while it is built,
trained or judged, takes no other with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from engine.recipe import Recipe
from engine.training.checkpoint import Checkpoint
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.evaluation import ImageEvaluation
from engine.training.memory import breaks_context, is_out_of_memory
from engine.training.random.bit_change import BitRecord
from engine.training.recording.lanes import Lane, make_lanes
from engine.training.recording.recorder import Recorder
from engine.training.stopping import ALL_STAY, Leaving, Stopped, StopRequest, never
from engine.training.tasks import images, text
from engine.training.tasks.images import ImageTask
from engine.training.tasks.task import Evaluation
from engine.training.tasks.text import TextTask

P = ParamSpec("P")
T = TypeVar("T")

Member = ImageTask | TextTask

NOTHING = ImageEvaluation(torch.full((1, 1), math.nan), math.nan, math.nan)
"""Stands for a replica that is not evaluated any more."""


@dataclass
class SideBySideTask:
    """Trains networks of one kind side by side; a `task.Task`."""

    recipes: list[Recipe]
    """One per replica, equal but for seeds and bits."""
    lanes: list[Lane]
    """One per replica; several may have the same."""
    members: list[Member | None]
    """None where a replica has ended before its time."""
    leaving: Leaving = ALL_STAY
    ended: set[int] = field(default_factory=set[int])
    """Replicas that have ended before their time."""
    resting: set[int] = field(default_factory=set[int])
    """Replicas that have diverged: they are neither trained nor evaluated any more."""

    def add(self, replica: int, build: Callable[[], Member]) -> None:
        """Build a replica on its lane."""
        self.members[replica] = self._guard(replica, build)

    @property
    def replicas(self) -> int:
        """Return how many runs are trained."""
        return len(self.members)

    @property
    def bits(self) -> list[BitRecord | None]:
        """Return for each replica what was moved in its weights."""
        return [None if member is None else member.bits[0] for member in self.members]

    def train_epoch(self, epoch: int, should_stop: StopRequest = never) -> list[float]:
        """Train one pass over the training data; see `Task`. Each replica takes a step in turn."""
        steps = {replica: self._guard(replica, member.begin_epoch, epoch) or 0 for replica, member in self._each()}
        for step in range(max(steps.values(), default=0)):
            if should_stop():
                raise Stopped
            for replica, member in self._each():
                if step >= steps[replica]:
                    continue
                if self.leaving.should_leave(replica):
                    self._end(replica, Stopped())
                else:
                    self._guard(replica, partial(member.take_step, epoch, step))
            if not self._each():
                break
        losses = {replica: self._guard(replica, member.end_epoch, epoch) for replica, member in self._each()}
        found = (losses.get(replica) for replica in range(self.replicas))
        return [math.nan if loss is None else loss for loss in found]

    def evaluate(self, epoch: int) -> list[Evaluation]:
        """Judge each replica on the test set: all of them are passed through before anybody waits for one."""
        logits = {replica: self._guard(replica, member.predict, epoch) for replica, member in self._each()}
        judged = {
            replica: self._guard(replica, partial(self._member(replica).judge, seen))
            for replica, seen in logits.items()
            if seen is not None
        }
        return [judged.get(replica) or NOTHING for replica in range(self.replicas)]

    def keep(self, epoch: int, evaluations: Sequence[Any]) -> None:
        """Take what later epochs need; a replica that has diverged rests from here on."""
        for replica, member in self._each():
            evaluation = evaluations[replica]
            if evaluation is None:
                self.resting.add(replica)
            with self.lanes[replica].enter():
                member.keep(epoch, [evaluation])

    def finish(self, replica: int, epoch: int, evaluation: Any, *, diverged: bool) -> Evaluation:
        """Return a replica's final prediction, and give it its final weights."""
        with self.lanes[replica].enter():
            final = self._member(replica).finish(0, epoch, evaluation, diverged=diverged)
        self.lanes[replica].wait()
        return final

    def last_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch's last step."""
        return self._first().last_rate(epoch)

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return a replica's weights and buffers by name."""
        self.lanes[replica].wait()
        return self._member(replica).weights(0)

    def digests(self) -> list[str]:
        """Return the digest of each replica's weights and buffers; an empty one where it has ended."""
        found = [""] * self.replicas
        for replica, member in enumerate(self.members):
            if member is not None:
                with self.lanes[replica].enter():
                    (found[replica],) = member.digests()
        return found

    def capture(self, replica: int, *, epoch: int, seconds: float) -> Checkpoint:
        """Return the state of a replica."""
        self.lanes[replica].wait()
        return self._member(replica).capture(0, epoch=epoch, seconds=seconds)

    def restore(self, starts: Sequence[Checkpoint]) -> None:
        """Restore the state of every replica."""
        for replica, member in self._each():
            with self.lanes[replica].enter():
                member.restore([starts[replica]])

    def count_steps(self) -> int:
        """Return the number of steps of an epoch, which for text is an estimate."""
        return self._first().count_steps()

    def evaluate_part(self) -> float:
        """Evaluate one batch with every replica, so that it can be timed, and return its share of the test set."""
        share = 0.0
        for replica, member in self._each():
            with self.lanes[replica].enter():
                share = member.evaluate_part()
        return share

    def _each(self) -> list[tuple[int, Member]]:
        """Return the replicas that are still trained."""
        return [
            (replica, member)
            for replica, member in enumerate(self.members)
            if member is not None and replica not in self.resting
        ]

    def _member(self, replica: int) -> Member:
        member = self.members[replica]
        assert member is not None, "a replica that was not built has ended"
        return member

    def _first(self) -> Member:
        return next(member for member in self.members if member is not None)

    def _guard(self, replica: int, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | None:
        """Do some work of a replica on its lane; what it raises ends this replica alone, and nothing is returned.

        Raises:
            Exception: If memory has run out or the GPU's context is broken, which ends all replicas.
        """
        try:
            with self.lanes[replica].enter():
                return work(*args, **named)
        except Exception as error:  # a user's network may raise anything
            if is_out_of_memory(error) or breaks_context(error):
                raise
            self._end(replica, error)
            return None

    def _end(self, replica: int, error: Exception) -> None:
        """End the training of one replica; its memory is free once Python has looked for what refers to itself."""
        self.leaving.on_end(replica, error)
        self.ended.add(replica)
        self.members[replica] = None


def prepare(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    graphs: bool = True,
    leaving: Leaving = ALL_STAY,
) -> SideBySideTask:
    """Build every replica as it is built by itself; one that cannot be built has ended.

    Args:
        recipes: Equal but for seeds and bits; see `Recipe.neighbours`.
        data: Their data set, on the device.
        device: Where they are trained.
        search_path: Where a user's model is looked for.
        graphs: Whether steps on CUDA are recorded and replayed.
        leaving: Which of them leave before their time, and who is told of those that end.

    Raises:
        ValueError: If the recipes may not be trained side by side.
    """
    if len(recipes) > 1 and (len({one.neighbours for one in recipes}) > 1 or recipes[0].neighbours is None):
        raise ValueError("recipes that are trained side by side are equal but for seeds and bits")
    lanes = make_lanes(device, len(recipes), graphs=graphs)
    task = SideBySideTask(list(recipes), lanes, [None] * len(recipes), leaving)

    for replica, (recipe, lane) in enumerate(zip(recipes, lanes, strict=True)):
        task.add(replica, partial(_build, recipe, data, device, search_path, lane.recorder))
    return task


def _build(
    recipe: Recipe,
    data: Dataset | Corpus,
    device: torch.device,
    search_path: tuple[Path, ...],
    recorder: Recorder | None,
) -> Member:
    if isinstance(data, Corpus):
        return text.prepare(recipe, data, device=device, recorder=recorder)
    member = images.prepare(recipe, data, device=device, search_path=search_path, recorder=recorder)
    if member.device_steps is None:  # so that a CPU's steps can be taken in turn as well
        images.gather_on_device(member)
    return member
