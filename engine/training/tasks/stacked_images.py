"""Training and judging a pack of image classifiers, one epoch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import Recipe
from engine.training.checkpoint import Checkpoint, capture
from engine.training.data.batches import Batch, epoch_batches, stack_batches, steps_per_epoch
from engine.training.data.datasets import Dataset
from engine.training.data.sampling import count_trained
from engine.training.dense import is_by_hand
from engine.training.digests import digest_stacked
from engine.training.evaluation import EVALUATION_BATCH, ImageEvaluation, SnapshotEnsemble, autocast, judge_stacked
from engine.training.models.build import Network
from engine.training.optimiser import learning_rate
from engine.training.random.bit_change import BitRecord
from engine.training.random.seeding import mask_keys, operation_keys
from engine.training.recording.recorder import Recorder
from engine.training.stacked.dense import DensePack, open_pack
from engine.training.stacked.network import Pack, fill_up
from engine.training.stacked.step import Stepper, move
from engine.training.stopping import Stopped, StopRequest, never
from engine.training.tasks import images

LEAST_EVALUATION_BATCH = 100


@dataclass
class StackedImageTask:
    """Trains a pack of image classifiers; a `task.Task`."""

    recipes: list[Recipe]
    """One per slot; the last run may stand in several, to fill the pack."""
    data: Dataset
    device: torch.device
    models: list[nn.Module]
    """One per slot, to build and to take apart the pack."""
    bits: list[BitRecord | None]
    pack: Pack
    network: Network
    """The first slot's: the pack's layers draw from its context."""
    stepper: Stepper
    dense: DensePack | None = None
    """Differentiates the networks by hand, to the same bits; None where autograd does it."""
    ensembles: list[SnapshotEnsemble] = field(default_factory=list[SnapshotEnsemble])
    """One per replica where the schedule is "snapshot", else empty."""

    @property
    def ended(self) -> set[int]:
        """Return nothing: an error of a pack is one of all its replicas."""
        return set()

    @property
    def replicas(self) -> int:
        """Return how many networks are stacked."""
        return self.pack.size

    @property
    def recipe(self) -> Recipe:
        """Return what all of them have in common."""
        return self.recipes[0]

    @property
    def evaluation_batch(self) -> int:
        """Return how many test examples are seen at once: a function of the recipe alone, as rounding depends on it."""
        return max(LEAST_EVALUATION_BATCH, EVALUATION_BATCH // self.pack.size)

    def count_steps(self) -> int:
        """Return the number of minibatches of an epoch."""
        return steps_per_epoch(self.count_examples(), self.recipe.train.batch_size)

    def count_examples(self) -> int:
        """Return the number of training examples of an epoch, the same for every replica."""
        return count_trained(self.recipe, len(self.data.train_labels))

    def train_epoch(self, epoch: int, should_stop: StopRequest = never) -> list[float]:
        """Train one pass over the training data; see `Task`."""
        steps, total = self.count_steps(), torch.zeros(self.pack.size, device=self.device)
        self.pack.train()
        keys = self.draw_keys(epoch)
        for step, batch in enumerate(self.batches(epoch)):
            if should_stop():
                raise Stopped
            rate = learning_rate((epoch - 1) * steps + step, steps, self.recipe.train)
            total += self.train_step(batch, self.step_keys(keys, step), rate=rate) * batch.labels.shape[-1]
        return (total / self.count_examples()).tolist()

    def train_step(self, batch: Batch, keys: Tensor, *, rate: float) -> Tensor:
        """Take one step of every replica, and return their losses, nats (K,)."""
        if self.dense is not None:
            self.pack.set_learning_rate(rate)
            losses = self.dense.differentiate(batch.inputs, batch.labels)
            move(self.pack, self.recipe.train)
            return losses
        return self.stepper.step(self.losses, (batch.inputs, batch.labels, batch.examples, keys), rate=rate)

    def losses(self, inputs: Tensor, labels: Tensor, examples: Tensor, keys: Tensor) -> Tensor:
        """Return the losses (K,) of a batch, nats: a function of the weights."""
        where = None if self.pack.recipe.shared_batch else 0
        with autocast(self.recipe, self.device):
            logits = self.pack.use(self._classify, inputs, examples, keys, in_dims=(where, where, 0))
            return replica_losses(logits, labels)

    def _classify(self, network: nn.Module, inputs: Tensor, examples: Tensor, keys: Tensor) -> Tensor:
        """Return one replica's logits, after telling its layers what their random numbers depend on."""
        masks, layers = self.network.masks, self.network.dropout_layers
        masks.keys = keys[:layers]
        masks.begin(examples, keys[layers:])
        with self.network.keyed():
            logits = network(inputs)
        # These views of one replica's tensors are not valid outside this function.
        masks.keys = None
        masks.begin(None, None)
        return logits

    def draw_keys(self, epoch: int) -> Tensor:
        """Draw the keys of each replica's random numbers in an epoch: its dropout layers', then all others', int64."""
        network, steps = self.network, self.count_steps()
        seeds = [recipe.seeds.stochastic or 0 for recipe in self.recipes]
        keys = [mask_keys(seed, epoch, network.dropout_layers) for seed in seeds]
        if network.keys_draws:
            keys = [torch.cat([own, operation_keys(seed, epoch, steps)]) for own, seed in zip(keys, seeds, strict=True)]
        return torch.stack(keys).to(self.device)

    def step_keys(self, keys: Tensor, step: int) -> Tensor:
        """Return which of an epoch's keys a step uses, int64 (K, layers), or (K, layers + 2) with other draws."""
        if not self.network.keys_draws:
            return keys
        of_epoch = self.network.dropout_layers + 1
        return torch.cat([keys[:, :of_epoch], keys[:, of_epoch + step, None]], dim=1)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the minibatches of all replicas, in training order: (B, …) where they share them, else (K, B, …)."""
        if self.pack.recipe.shared_batch:
            return epoch_batches(self.recipe, self.data, epoch)
        return stack_batches(self.recipes, self.data, epoch)

    def evaluate(self, epoch: int) -> list[ImageEvaluation]:
        """Judge each replica on the test set at the end of an epoch."""
        self.pack.eval()
        size, examples = self.evaluation_batch, len(self.data.test_labels)
        logits = torch.empty(self.pack.size, examples, self.data.classes, dtype=torch.float32, device=self.device)
        for start in range(0, examples, size):
            logits[:, start : start + size] = self.predict(self.data.test_inputs[start : start + size])
        return judge_stacked(logits, self.data)

    @torch.no_grad()
    def predict(self, stored: Tensor) -> Tensor:
        """Return the logits (K, B, C) of some stored examples; not contiguous."""
        if self.dense is not None:
            return self.dense.classify(self.data.normalise(stored))
        with autocast(self.recipe, self.device):
            return self.pack(self.data.feed(stored))

    def evaluate_part(self) -> float:
        """Evaluate some test examples, so that it can be timed, and return their share of the test set."""
        self.pack.eval()
        return self.predict(self.data.test_inputs[: self.evaluation_batch]).shape[1] / len(self.data.test_labels)

    def keep(self, epoch: int, evaluations: Sequence[ImageEvaluation | None]) -> None:
        """Take the logits of an epoch that ends a cycle, from the replicas that have not diverged."""
        for ensemble, evaluation in zip(self.ensembles, evaluations, strict=False):
            if evaluation is not None and ensemble.ends_at(epoch):
                ensemble.add(evaluation)

    def finish(self, replica: int, epoch: int, evaluation: ImageEvaluation, *, diverged: bool) -> ImageEvaluation:
        """Return the prediction of the snapshot ensemble where there is one, else the last one."""
        if self.ensembles and self.ensembles[replica].complete:
            return self.ensembles[replica].evaluate(self.data)
        return evaluation

    def last_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch's last step."""
        return learning_rate(epoch * self.count_steps() - 1, self.count_steps(), self.recipe.train)

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return copies of a replica's weights and buffers by name."""
        return self.pack.state_of(replica)

    def digests(self) -> list[str]:
        """Return the digest of each replica's weights and buffers."""
        return digest_stacked({**self.pack.stacked, **self.pack.stacked_buffers})

    def capture(self, replica: int, *, epoch: int, seconds: float) -> Checkpoint:
        """Return the state that a replica would have if it had been trained by itself."""
        model, optimiser = self.pack.member(replica, self.models[replica], self.recipe.train)
        extra = self.ensembles[replica].state() if self.ensembles else {}
        return capture(model, optimiser, extra, epoch=epoch, seconds=seconds)

    def restore(self, starts: Sequence[Checkpoint]) -> None:
        """Restore the state of every run; the last run's state also fills the places of the pack that are left."""
        filled = fill_up(starts, self.pack.size)
        self.pack.restore(filled, self.models, self.recipe.train)
        for ensemble, start in zip(self.ensembles, filled, strict=False):
            ensemble.restore(start.extra)


def replica_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross-entropy of each replica.

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
) -> StackedImageTask:
    """Build every replica as it is built by itself, and stack them.

    Args:
        recipes: One per slot, of one pack.
        data: Theirs, on the device.
        device: Where they are trained.
        search_path: Where a user's model is looked for.
        recorder: Of steps; see `Stepper`.

    Raises:
        ModelError: If a model cannot be built.
    """
    first = recipes[0]
    assert first.pack is not None, "only packs are stacked"
    built = [images.prepare(recipe, data, device=device, search_path=search_path) for recipe in recipes]
    models, network = [task.model for task in built], built[0].network
    pack = Pack(models, first.train, first.pack, handles=[network.masks])
    dense = open_pack(pack) if is_by_hand(first, device) else None
    return StackedImageTask(
        recipes=recipes,
        data=data,
        device=device,
        models=models,
        bits=[task.bits[0] for task in built],
        pack=pack,
        network=network,
        stepper=Stepper(pack, first.train, recorder),
        dense=dense,
        ensembles=[SnapshotEnsemble(recipe) for recipe in recipes] if first.train.cycles else [],
    )
