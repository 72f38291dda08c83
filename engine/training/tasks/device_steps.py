"""An image classifier's steps on a GPU: what an epoch needs is copied there at once, and each step can be recorded.

Nobody waits between the steps: batches are gathered on the device, and losses are summed there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from engine.recipe import Recipe
from engine.training.data.batches import Batch, EpochTable, send_epoch, steps_per_epoch, take_batch
from engine.training.data.datasets import Dataset
from engine.training.data.sampling import count_trained
from engine.training.evaluation import EVALUATION_BATCH, autocast
from engine.training.models.build import Network
from engine.training.random.seeding import mask_keys, operation_keys
from engine.training.random.weight_noise import cut_noise, draw_noise, send_noise
from engine.training.recording.recorder import Recorder
from engine.training.recording.repeater import Repeater

Descend = Callable[[Batch, Tensor | None, "list[Tensor] | None"], Tensor]
"""Moves weights down the gradient of a batch's loss, by keys of the step's draws and noise; returns the loss."""


@dataclass
class DeviceSteps:
    """Takes a network's steps, and passes its test set through it."""

    recipe: Recipe
    data: Dataset
    """On the device."""
    network: Network
    descend: Descend
    recorder: Recorder | None
    """None where nothing is recorded."""
    let_go: Callable[[], object]
    """Drops the gradients, which a recorded step makes anew."""
    total: Tensor = field(init=False)
    """Sum of the epoch's losses so far, which a recorded step adds to."""
    table: EpochTable = field(init=False)

    def __post_init__(self) -> None:
        """Make room for the losses."""
        self.total = torch.zeros((), device=self.data.train_labels.device)
        self._step = Repeater(self._take, self.recorder, let_go=self.let_go)
        self._pass = Repeater(self._classify, self.recorder)

    def begin(self, epoch: int) -> None:
        """Copy what the steps of an epoch need to the device."""
        recipe = self.recipe.at(epoch)
        if self.recipe.is_first_after_onset(epoch):
            self._step.forget()  # from here on other kernels may be allowed
            self._pass.forget()
        network = self.network
        self.table = send_epoch(recipe, self.data, epoch, _draw_keys(recipe, self.data, network, epoch))
        keys, layers = self.table.keys, network.dropout_layers
        network.masks.keys = keys[0, :layers]
        if network.keys_draws:
            network.masks.epoch_keys = torch.cat([keys[0, layers : layers + 1], keys[:, layers + 1]])
        self.total.zero_()

    def take(self, epoch: int, step: int) -> None:
        """Take one step of an epoch that was begun."""
        tensors = [self.table.columns_of(step), self.table.keys[step]]
        noise = draw_noise(self.network.model, self.recipe.at(epoch), epoch=epoch, step=step)
        if noise is not None:
            tensors.append(send_noise(noise, self.total.device))
        self._step(*tensors)

    def _take(self, columns: Tensor, keys: Tensor, noise: Tensor | None = None) -> None:
        batch, network = take_batch(self.recipe, self.data, columns), self.network
        network.masks.keys = keys[: network.dropout_layers]
        draws = keys[network.dropout_layers :] if network.keys_draws else None
        loss = self.descend(batch, draws, None if noise is None else cut_noise(noise, network.model))
        self.total.add_(loss * len(batch.labels))

    def predict(self) -> Tensor:
        """Return the logits of the test set, float32 (N, C); the model is left in evaluation mode."""
        self.network.model.eval()
        inputs = self.data.test_inputs
        starts = range(0, len(self.data.test_labels), EVALUATION_BATCH)
        parts = [self._pass(inputs[start : start + EVALUATION_BATCH]) for start in starts]
        return torch.cat([part for part in parts if part is not None])

    def _classify(self, inputs: Tensor) -> Tensor:
        with torch.no_grad(), autocast(self.recipe, inputs.device):
            return self.network.classify(self.data.feed(inputs)).float()


def _draw_keys(recipe: Recipe, data: Dataset, network: Network, epoch: int) -> np.ndarray:
    """Draw for every step the keys of dropout layers, then those of other draws: the epoch's and the step's."""
    steps = steps_per_epoch(count_trained(recipe, len(data.train_labels)), recipe.train.batch_size)
    seed = recipe.seeds.stochastic or 0
    columns = [np.broadcast_to(mask_keys(seed, epoch, network.dropout_layers).numpy(), (steps, network.dropout_layers))]
    if network.keys_draws:
        drawn = operation_keys(seed, epoch, steps).numpy()
        columns += [np.full((steps, 1), drawn[0]), drawn[1:, None]]
    return np.concatenate(columns, axis=1)
