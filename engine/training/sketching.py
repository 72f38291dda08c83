"""Takes sketches of the weights while a network is trained; see `engine.study.sketches`."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.study.sketches import BUCKETS, encode_sketches
from engine.training.tasks.task import Task

SIGN_SEED = 0x736B6574
"""Of the signs: sketches with other ones could not be compared with those that are kept."""

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Ends of the names of what batch norms keep of their inputs: no weights."""

PART = 2**16
"""Weights that are summed at once, so that temporaries stay small."""


class Sketcher:
    """Takes sketches of networks of one architecture: their weights get the same signs in every run."""

    def __init__(self) -> None:
        """Draw no sign yet: that needs the sizes of the weights."""
        self._signs: dict[tuple[int, int, torch.device], Tensor] = {}

    def sketch(self, weights: Mapping[str, Tensor]) -> np.ndarray:
        """Return the sketch of a network's weights and buffers by name, float64 (BUCKETS,)."""
        named = [tensor for name, tensor in weights.items() if is_weight(name, tensor)]
        total = torch.zeros(BUCKETS, dtype=torch.float64, device=named[0].device if named else None)
        for number, tensor in enumerate(named):
            flat = tensor.detach().reshape(-1)
            signs = self._draw(number, len(flat), flat.device)
            for start in range(0, len(flat), PART):
                part = flat[start : start + PART].double() * signs[start : start + PART]
                filled = torch.nn.functional.pad(part, (0, -len(part) % BUCKETS))
                total += filled.view(-1, BUCKETS).sum(0)
        return total.cpu().numpy()

    def _draw(self, number: int, size: int, device: torch.device) -> Tensor:
        """Return the signs of a network's tensor with some number, int8 (size,)."""
        key = (number, size, device)
        if key not in self._signs:
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([SIGN_SEED, number])))
            drawn = generator.integers(0, 2, size, dtype=np.int8) * np.int8(2) - np.int8(1)
            self._signs[key] = torch.from_numpy(drawn).to(device)
        return self._signs[key]


def is_weight(name: str, tensor: Tensor) -> bool:
    """Tell whether a tensor of a network's state is trained, as far as its name and numbers say."""
    return tensor.is_floating_point() and not name.endswith(STATISTICS)


def is_elsewhere(optimiser: torch.optim.Optimizer) -> bool:
    """Tell whether an optimiser's weights are on another device than the CPU."""
    return any(weight.device.type != "cpu" for group in optimiser.param_groups for weight in group["params"])


class Sketches:
    """Collects the sketches of the runs that a task trains: at the end of each epoch, and evenly spaced within it.

    Within an epoch they are taken by a hook of the task's optimiser. On a GPU the host does not wait for a step, and of
    stacked replicas there is no such hook: there the end of each epoch is all there is.
    """

    def __init__(self, task: Task[Any], runs: int, samples: int) -> None:
        """Take note of the task, the number of its runs, and how many sketches an epoch is to have."""
        self.task, self.runs, self.samples = task, runs, samples
        self._sketcher = Sketcher()
        self._taken: list[list[tuple[int, np.ndarray]]] = [[] for _ in range(runs)]
        self._before, self._step = 0, 0

    @contextlib.contextmanager
    def follow(self, epoch: int) -> Generator[None]:
        """Take the sketches within an epoch, which is trained in the context; before the first step of all one, too."""
        steps = self.task.count_steps()
        self._before, self._step = (epoch - 1) * steps, 0
        due = frozenset(round(steps * k / self.samples) for k in range(1, self.samples)) - {0, steps}
        if epoch == 1:
            for run in range(self.runs):
                if run not in self.task.ended:  # one that could not be built
                    self._take(run)
        optimiser = getattr(self.task, "optimiser", None)
        if not due or self.runs > 1 or not isinstance(optimiser, torch.optim.Optimizer) or is_elsewhere(optimiser):
            yield
            return

        def count(*_: Any) -> None:
            self._step += 1
            if self._step in due:
                self._take(0)

        hook = optimiser.register_step_post_hook(count)
        try:
            yield
        finally:
            hook.remove()

    def end_epoch(self, run: int, epoch: int) -> str:
        """Take the sketch at the end of an epoch, and return all of that epoch as text."""
        self._step = self.task.count_steps()
        self._before = (epoch - 1) * self._step
        self._take(run)
        steps, sums = zip(*self._taken[run], strict=True)
        self._taken[run] = []
        return encode_sketches(steps, np.stack(sums))

    def _take(self, run: int) -> None:
        sketch = self._sketcher.sketch(self.task.weights(run))
        self._taken[run].append((self._before + self._step, sketch))
