"""The one interface of what is trained: a replica by itself or a pack of stacked ones, of images or of text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from engine.training.checkpoint import Checkpoint
from engine.training.random.bit_change import BitRecord
from engine.training.stopping import StopRequest


class Evaluation(Protocol):
    """Holds predictions on the test set and their figures."""

    @property
    def accuracy(self) -> float:
        """Return the percentage of right predictions."""
        ...

    @property
    def cross_entropy(self) -> float:
        """Return the mean over the test set, in nats."""
        ...

    @property
    def perplexity(self) -> float | None:
        """Return exp of the cross-entropy; None for images."""
        ...

    @property
    def is_finite(self) -> bool:
        """Tell whether all predictions are finite numbers."""
        ...

    def to_array(self) -> np.ndarray:
        """Return the predictions as they are saved."""
        ...


E = TypeVar("E", bound=Evaluation)


class Task(Protocol[E]):
    """Trains some replicas at once, one epoch at a time; the loop decides what happens between the epochs."""

    @property
    def bits(self) -> Sequence[BitRecord | None]:
        """Return for each replica what was moved in its weights; None where nothing was."""
        ...

    @property
    def ended(self) -> Collection[int]:
        """Return the replicas that have ended before their time; the others go on."""
        ...

    @property
    def replicas(self) -> int:
        """Return how many replicas are trained, those included that only fill up a pack."""
        ...

    def train_epoch(self, epoch: int, should_stop: StopRequest = ..., /) -> list[float]:
        """Train one epoch.

        Returns:
            Mean training loss of each replica, in nats.

        Raises:
            Stopped: If `should_stop`, which is asked before every step, says so.
        """
        ...

    def evaluate(self, epoch: int, /) -> list[E]:
        """Judge each replica on the test set at the end of an epoch."""
        ...

    def keep(self, epoch: int, evaluations: Sequence[E | None], /) -> None:
        """Take what later epochs and the final prediction need; None stands for a replica that has diverged."""
        ...

    def finish(self, replica: int, epoch: int, evaluation: E, /, *, diverged: bool) -> E:
        """Return a replica's final prediction after its last epoch, and give it its final weights."""
        ...

    def last_rate(self, epoch: int, /) -> float:
        """Return the learning rate of an epoch's last step."""
        ...

    def weights(self, replica: int, /) -> dict[str, Tensor]:
        """Return a replica's weights and buffers by name."""
        ...

    def digests(self) -> list[str]:
        """Return a digest of the weights and buffers of each replica; see `digests.digest_stacked`."""
        ...

    def capture(self, replica: int, /, *, epoch: int, seconds: float) -> Checkpoint:
        """Return the state of a replica as if it had been trained by itself."""
        ...

    def restore(self, starts: Sequence[Checkpoint], /) -> None:
        """Restore the state of every run; the last run's state also fills the places of a pack that are left."""
        ...

    def count_steps(self) -> int:
        """Return the number of steps of an epoch, which for text is an estimate."""
        ...

    def evaluate_part(self) -> float:
        """Evaluate a part of the test set, so that it can be timed, and return its share."""
        ...
