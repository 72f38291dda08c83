"""A pack of image classifiers while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import Recipe
from engine.training.data.batches import epoch_batches, steps_per_epoch
from engine.training.data.datasets import Dataset
from engine.training.evaluation import EVALUATION_BATCH, Evaluation, Members, autocast, judge
from engine.training.optimiser import learning_rate
from engine.training.random.bit_change import BitRecord
from engine.training.random.dropout import MaskContext
from engine.training.random.seeding import mask_keys
from engine.training.stacked.network import Pack
from engine.training.stacked.step import Recorder, Stepper
from engine.training.stopping import Stopped
from engine.training.tasks import images

LEAST_EVALUATION_BATCH = 100


@dataclass(frozen=True)
class PackBatch:
    """What a step of all replicas needs."""

    inputs: Tensor
    """(B, …) where the replicas share it, else (K, B, …)."""
    labels: Tensor
    """(B,) or (K, B)."""
    examples: Tensor
    """Ids, as the labels; masks are drawn for them."""


@dataclass
class ImagePack:
    """The parts of a pack; a `run.PackTask`."""

    recipes: list[Recipe]
    """One per slot; the last run may stand in several, to fill the pack."""
    data: Dataset
    device: torch.device
    models: list[nn.Module]
    """One per slot, to build and to take apart the pack."""
    bits: list[BitRecord | None]
    pack: Pack
    masks: MaskContext
    """Of the pack's dropout layers."""
    dropout_layers: int
    should_stop: Callable[[], bool]
    stepper: Stepper
    ensembles: list[Members] = field(default_factory=list)
    """Of the snapshot schedule."""

    @property
    def recipe(self) -> Recipe:
        """What all of them have in common."""
        return self.recipes[0]

    @property
    def evaluation_batch(self) -> int:
        """Test examples at once; a function of the recipe alone, as rounding depends on it."""
        return max(LEAST_EVALUATION_BATCH, EVALUATION_BATCH // self.pack.size)

    def count_steps(self) -> int:
        """Of an epoch."""
        return steps_per_epoch(len(self.data.train_labels), self.recipe.train.batch_size)

    def train_epoch(self, epoch: int) -> Tensor:
        """One pass over the training data.

        Returns:
            Mean loss of each replica over its examples, nats, float32 (K,).
        """
        steps, total = self.count_steps(), torch.zeros(self.pack.size, device=self.device)
        self.pack.train()
        keys = self.draw_keys(epoch)
        for step, batch in enumerate(self.batches(epoch)):
            if self.should_stop():
                raise Stopped
            rate = learning_rate((epoch - 1) * steps + step, steps, self.recipe.train)
            total += self.train_step(batch, keys, rate=rate) * batch.labels.shape[-1]
        return total / len(self.data.train_labels)

    def train_step(self, batch: PackBatch, keys: Tensor, *, rate: float) -> Tensor:
        """One step of every replica; returns their losses, nats (K,)."""
        return self.stepper.step(self.losses, (batch.inputs, batch.labels, batch.examples, keys), rate=rate)

    def losses(self, inputs: Tensor, labels: Tensor, examples: Tensor, keys: Tensor) -> Tensor:
        """Losses (K,) of a batch, nats: a function of the weights."""
        where = None if self.pack.kind.shared_batch else 0
        with autocast(self.recipe, self.device):
            logits = self.pack.use(self._classify, inputs, examples, keys, in_dims=(where, where, 0))
            return replica_losses(logits, labels)

    def _classify(self, network: nn.Module, inputs: Tensor, examples: Tensor, keys: Tensor) -> Tensor:
        """Of one replica: its dropout layers look into the handle for what their masks depend on."""
        self.masks.examples, self.masks.keys = examples, keys
        logits = network(inputs)
        # One replica's view of stacked tensors means nothing out of here.
        self.masks.examples = self.masks.keys = None
        return logits

    def draw_keys(self, epoch: int) -> Tensor:
        """Of each replica's dropout masks in an epoch, int64 (K, layers)."""
        keys = [mask_keys(recipe.seeds.stochastic or 0, epoch, self.dropout_layers) for recipe in self.recipes]
        return torch.stack(keys).to(self.device)

    def batches(self, epoch: int) -> Iterator[PackBatch]:
        """The minibatches of all replicas, in training order."""
        if self.pack.kind.shared_batch:
            for batch in epoch_batches(self.recipe, self.data, epoch):
                yield PackBatch(batch.inputs, batch.labels, batch.examples)
        else:
            streams = [epoch_batches(recipe, self.data, epoch) for recipe in self.recipes]
            for batches in zip(*streams, strict=True):
                yield PackBatch(
                    torch.stack([b.inputs for b in batches]),
                    torch.stack([b.labels for b in batches]),
                    torch.stack([b.examples for b in batches]),
                )

    def evaluate(self) -> list[Evaluation]:
        """The test set as each replica sees it."""
        self.pack.eval()
        size = self.evaluation_batch
        parts = []
        with torch.no_grad(), autocast(self.recipe, self.device):
            for start in range(0, len(self.data.test_labels), size):
                inputs = self.data.normalise(self.data.test_inputs[start : start + size])
                parts.append(self.pack(inputs).float())
        return [judge(logits.contiguous(), self.data) for logits in torch.cat(parts, dim=1)]

    def evaluate_part(self) -> float:
        """Evaluate some test examples, for the time; returns their share of the test set."""
        self.pack.eval()
        inputs = self.data.normalise(self.data.test_inputs[: self.evaluation_batch])
        with torch.no_grad(), autocast(self.recipe, self.device):
            self.pack(inputs)
        return len(inputs) / len(self.data.test_labels)

    def keep(self, epoch: int, evaluations: Sequence[Evaluation | None]) -> None:
        """Take what the final predictions need of an epoch, from those that have not diverged."""
        for ensemble, evaluation in zip(self.ensembles, evaluations, strict=False):
            if evaluation is not None and ensemble.ends_at(epoch):
                ensemble.add(evaluation)

    def finish(self, slot: int, evaluation: Evaluation, *, diverged: bool) -> Evaluation:
        """The final prediction of a replica."""
        if self.ensembles and self.ensembles[slot].complete:
            return self.ensembles[slot].evaluate(self.data)
        return evaluation

    def last_rate(self, epoch: int) -> float:
        """Learning rate of an epoch's last step."""
        return learning_rate(epoch * self.count_steps() - 1, self.count_steps(), self.recipe.train)

    def state(self, slot: int) -> dict[str, Tensor]:
        """What a replica's checkpoint holds beside weights and optimiser."""
        return self.ensembles[slot].state() if self.ensembles else {}

    def restore(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Go on from the states of all replicas."""
        for ensemble, state in zip(self.ensembles, states, strict=False):
            ensemble.restore(state)


def replica_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each replica.

    Args:
        logits: (K, B, C).
        labels: (B,) where they share the batch, else (K, B).

    Returns:
        Nats, (K,).
    """
    replicas, examples, _ = logits.shape
    wanted = labels.expand(replicas, examples).reshape(-1)
    losses = functional.cross_entropy(logits.reshape(replicas * examples, -1), wanted, reduction="none")
    return losses.view(replicas, examples).mean(1)


def prepare(
    recipes: list[Recipe],
    data: Dataset,
    *,
    device: torch.device,
    search_path: tuple[Path, ...],
    recorder: Recorder | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ImagePack:
    """Build every replica as it is built alone, and stack them.

    Args:
        recipes: One per slot, of one pack.
        data: Theirs, on the device.
        device: Where they are trained.
        search_path: Where a user's model is looked for.
        recorder: Of steps; see `Stepper`.
        should_stop: Asked at every step.

    Raises:
        ModelError: If a model cannot be built.
    """
    first, kind = recipes[0], recipes[0].pack
    assert kind is not None, "only packs are stacked"
    built = [images.prepare(recipe, data, device=device, search_path=search_path) for recipe in recipes]
    models = [training.network.model for training, _ in built]
    masks = built[0][0].network.masks
    pack = Pack(models, first.train, kind, handles=[masks])
    return ImagePack(
        recipes=recipes,
        data=data,
        device=device,
        models=models,
        bits=[bit for _, bit in built],
        pack=pack,
        masks=masks,
        dropout_layers=built[0][0].network.dropout_layers,
        should_stop=should_stop,
        stepper=Stepper(pack, first.train, recorder),
        ensembles=[Members(recipe) for recipe in recipes] if first.train.cycles else [],
    )
