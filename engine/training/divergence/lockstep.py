"""Trains two runs side by side until their weights part, and on from there, to see how the difference grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from engine.recipe import Recipe
from engine.study.divergence_record import GrowthPoint, Tensors
from engine.training.checkpoint import Checkpoint
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.digests import DIGITS
from engine.training.divergence.distances import (
    compare_tensors,
    digest_states,
    find_network,
    measure_outputs,
    measure_weights,
    read_parameters,
)
from engine.training.divergence.walker import Halt, Walker
from engine.training.tasks.images import ImageTask
from engine.training.tasks.preparation import prepare
from engine.training.tasks.task import Evaluation

TEST_EXAMPLES = 1000
"""Test examples that both networks judge while the difference grows."""

EVERY_STEP = 128
"""Steps after the parting of which each is looked at; later looks are rare, each a share farther than the last."""

RARER = 1.03
OUTPUTS_RARER = 1.15
"""How much later the next look at outputs is than the last one, which cost a pass over the test examples."""


@dataclass(frozen=True)
class Parted:
    """Says where the weights of two runs part."""

    epoch: int
    """1 for the first; 0 where they were never equal."""
    step: int | None
    """The step after which they differ, from 0; None where they differ before the epoch's first step."""
    start: tuple[Checkpoint, ...] = ()
    """Both states at the end of the epoch before it; none where that is the beginning."""


def trim(data: Dataset | Corpus, examples: int = TEST_EXAMPLES) -> Dataset | Corpus:
    """Return the data with the first test examples alone: training does not depend on them."""
    if isinstance(data, Corpus):
        return replace(data, test=data.test[: examples + 1])
    return replace(data, test_inputs=data.test_inputs[:examples], test_labels=data.test_labels[:examples])


@dataclass
class Pair:
    """Walks two runs, each by itself, or both in one pack where they may share one."""

    walkers: tuple[Walker, ...]
    places: tuple[tuple[Walker, int], tuple[Walker, int]]
    """The walker and the slot of each run."""
    recipes: tuple[Recipe, Recipe]
    digests: list[str] = field(default_factory=list[str])
    """Of both, where they stand; each begins with that of the weights."""

    @classmethod
    def prepare(
        cls,
        recipes: Sequence[Recipe],
        data: Dataset | Corpus,
        *,
        device: torch.device,
        search_path: tuple[Path, ...] = (),
        starts: Sequence[Checkpoint] = (),
    ) -> Pair:
        """Build both, at their beginning or in the state of a checkpoint of each, at the end of the same epoch."""
        one, other = recipes
        together = one.pack is not None and one.pack.size > 1 and one.companions == other.companions
        groups = [[0, 1]] if together else [[0], [1]]
        walkers: list[Walker] = []
        for group in groups:
            chosen = [recipes[number] for number in group]
            task = prepare(chosen, data, device=device, search_path=search_path, graphs=False)
            if isinstance(task, ImageTask):
                task.steps_at_once = 1  # so that each of them can be looked at
            if starts:
                task.restore([starts[number] for number in group])
            walkers.append(Walker(task, chosen[0], first=starts[0].epoch + 1 if starts else 1))
        places = ((walkers[0], 0), (walkers[0], 1)) if together else ((walkers[0], 0), (walkers[1], 0))
        pair = cls(tuple(walkers), places, (one, other))
        pair.look()
        return pair

    def go(self) -> Halt | None:
        """Train both up to before the next step, or to the end of the epoch; None where either has ended."""
        halts = [walker.go() for walker in self.walkers]
        for number, walker in enumerate(self.walkers):
            # Where one has fewer steps in its epoch, as texts may, the other one catches up to the end of it.
            while None in [halt.step for halt in halts if halt is not None] and _is_inside(halts[number]):
                halts[number] = walker.go()
        if None in halts:
            return None
        self.look()
        return halts[0]

    def look(self) -> None:
        """Take the digests of both where they stand: of weights, and of what the optimiser knows."""
        known = {id(walker): digest_states(walker.task) for walker in self.walkers}
        self.digests = [known[id(walker)][slot] for walker, slot in self.places]

    @property
    def parted(self) -> bool:
        """Tell whether their weights differ, or what their optimisers know."""
        return self.digests[0] != self.digests[1]

    @property
    def weights(self) -> tuple[str, str]:
        """Return the digests of both one's weights alone."""
        return self.digests[0][:DIGITS], self.digests[1][:DIGITS]

    def capture(self, epoch: int) -> tuple[Checkpoint, ...]:
        """Return copies of both states at the end of an epoch."""
        return tuple(_copy(walker.task.capture(slot, epoch=epoch, seconds=0.0)) for walker, slot in self.places)

    def measure(self, halt: Halt | None, step: int, *, outputs: bool) -> GrowthPoint:
        """Measure how far both are apart where they stand.

        Args:
            halt: Where that is; None before the first step of all.
            step: How many steps after the parting that is.
            outputs: Whether they judge the test examples.
        """
        parameters = [read_parameters(walker.task, slot) for walker, slot in self.places]
        weights = measure_weights(*parameters)
        apart = measure_outputs(*self._judge(halt)) if outputs else None
        return GrowthPoint(
            step=step,
            epoch=halt.epoch if halt is not None and halt.step is None else None,
            weights=_finite(weights.length),
            relative=_finite(weights.relative),
            logits=None if apart is None else _finite(apart.logits),
            logits_relative=None if apart is None else _finite(apart.relative),
            disagreement=None if apart is None else apart.disagreement,
        )

    def compare(self) -> tuple[tuple[str, ...], Tensors | None]:
        """Return which weights and buffers differ, and how the first of them does."""
        one, other = (walker.task.weights(slot) for walker, slot in self.places)
        apart = {name: found for name, tensor in one.items() if (found := compare_tensors(tensor, other[name]))}
        return tuple(apart), next(iter(apart.values()), None)

    def _judge(self, halt: Halt | None) -> tuple[Evaluation, Evaluation]:
        """Return what both say of the test examples; at the end of an epoch they have just been asked."""
        found: dict[int, Sequence[Evaluation]] = {}
        for walker in self.walkers:
            if halt is not None and halt.step is None:
                found[id(walker)] = walker.evaluations
                continue
            epoch = 1 if halt is None else halt.epoch
            walker.use_kernels(epoch)
            found[id(walker)] = walker.task.evaluate(epoch)
            find_network(walker.task).train()
        one, other = (found[id(walker)][slot] for walker, slot in self.places)
        return one, other

    def close(self) -> None:
        """End both where they stand."""
        for walker in self.walkers:
            walker.close()


def _is_inside(halt: Halt | None) -> bool:
    return halt is not None and halt.step is not None


def _copy(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint in memory of its own: the training goes on in the old one."""
    parts = ({name: tensor.detach().clone() for name, tensor in part.items()} for part in (
        checkpoint.model, checkpoint.optimiser, checkpoint.extra
    ))  # fmt: skip
    model, optimiser, extra = parts
    return replace(checkpoint, model=model, optimiser=optimiser, extra=extra)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass
class Found:
    """Holds what a walk of two runs has found."""

    parted: Parted | None = None
    """None where they did not part."""
    digests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Of both, at the end of each epoch that was trained, and before the first one where that was walked from."""
    points: list[GrowthPoint] = field(default_factory=list[GrowthPoint])
    """How the difference grows, from the step after which it is there."""
    weights: tuple[str, ...] = ()
    """The parameters and buffers that differ, where they do before a step."""
    tensors: Tensors | None = None
    """How the first of these differs."""
    epochs: int = 0
    """The last epoch that was trained."""


Listener = Callable[[int], None]
"""Is told the number of each epoch that has ended."""


@dataclass
class Looks:
    """Decides after how many steps behind the parting both are looked at."""

    due: int = 0
    outputs_due: int = 0

    def ask(self, step: int, *, ended: bool) -> tuple[bool, bool]:
        """Tell whether weights, and whether outputs are looked at after a step; at the end of an epoch both are."""
        looks, outputs = ended or step >= self.due, ended or step >= self.outputs_due
        if looks:
            self.due = step + 1 if step < EVERY_STEP else math.ceil(step * RARER)
        if outputs:
            self.outputs_due = max(step + 1, math.ceil(step * OUTPUTS_RARER))
        return looks, outputs


def walk(
    pair: Pair,
    *,
    starts: Sequence[Checkpoint] = (),
    growth_epochs: int | None = None,
    listen: Listener = lambda epoch: None,
) -> Found:
    """Train two runs side by side to their end, or for some epochs after they have parted.

    Args:
        pair: Both, at the end of the same epoch or at their beginning.
        starts: The states that they stand in; none at the beginning.
        growth_epochs: Ends the walk so many epochs behind the one in which they part; None for none.
        listen: Is told of each epoch.
    """
    found = Found(digests=[] if starts else [pair.weights])
    looks, kept = Looks(), tuple(starts)
    before: Halt | None = None
    taken, origin = 0, 0

    def look(halt: Halt | None) -> None:
        step, ended = taken - origin, halt is not None and halt.step is None
        if not found.points and (halt is None or halt.step == 0):
            found.weights, found.tensors = pair.compare()
        if found.points and found.points[-1].step == step:
            return  # between two epochs nothing has moved
        wanted, outputs = looks.ask(step, ended=ended)
        if wanted:
            found.points.append(pair.measure(halt, step, outputs=outputs))

    if pair.parted:
        found.parted = Parted(0, None)
        look(None)
    while (halt := pair.go()) is not None:
        taken += before is not None and before.step is not None
        if found.parted is None and pair.parted:
            origin = taken
            found.parted = Parted(halt.epoch, None if before is None else before.step, kept)
        if found.parted is not None:
            look(halt)
        if halt.step is None:
            found.epochs = halt.epoch
            found.digests.append(pair.weights)
            listen(halt.epoch)
            if found.parted is None:
                kept = pair.capture(halt.epoch)
            elif growth_epochs is not None and halt.epoch >= found.parted.epoch + growth_epochs:
                break
        before = halt
    return found
