"""A training step of a pack: computed directly, or on CUDA recorded once and replayed; see `recording`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from engine.recipe import TrainRecipe
from engine.training.recording.recorder import Recorder
from engine.training.recording.repeater import Repeater
from engine.training.stacked.network import Pack

Losses = Callable[..., Tensor]
"""Losses (K,) of a batch's tensors, as a function of the weights."""


def descend(pack: Pack, losses: Tensor, train: TrainRecipe) -> None:
    """Move every replica's weights down the gradient of its own loss, of losses (K,)."""
    pack.optimiser.zero_grad(set_to_none=True)
    # Each replica's loss depends on its own parameters alone, so the gradient of the sum holds all of theirs.
    losses.sum().backward()
    move(pack, train)


def move(pack: Pack, train: TrainRecipe) -> None:
    """Move every replica's weights by its gradient, which is there."""
    if train.clip_grad_norm:
        pack.clip_gradients(train.clip_grad_norm)
    pack.optimiser.step()


class Stepper:
    """Takes a pack's training steps."""

    def __init__(self, pack: Pack, train: TrainRecipe, recorder: Recorder | None) -> None:
        """Take steps with a pack's optimiser; without a recorder no step is recorded."""
        self.pack, self.train = pack, train
        self._losses: Losses | None = None
        self._repeat = Repeater(self._take, recorder, let_go=lambda: pack.optimiser.zero_grad(set_to_none=True))

    def step(self, losses: Losses, tensors: Sequence[Tensor], *, rate: float) -> Tensor:
        """Take one step of every replica.

        Args:
            losses: The function of the losses, the same one at every step.
            tensors: Its arguments.
            rate: The learning rate, which each parameter group multiplies by its own scale.

        Returns:
            Losses before the step, nats (K,).
        """
        self.pack.set_learning_rate(rate)
        self._losses = losses
        values = self._repeat(*tensors)
        assert values is not None, "a pack's step has losses"
        return values

    def _take(self, *tensors: Tensor) -> Tensor:
        assert self._losses is not None, "a step has a function of its losses"
        values = self._losses(*tensors)
        descend(self.pack, values, self.train)
        return values.detach()
