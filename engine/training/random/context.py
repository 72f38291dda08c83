"""The context of a forward pass: what its random numbers are a function of, and the integers that follow.

A draw is a function of seed, epoch, its number in the forward pass, example and unit. One without a batch dimension is
a function of seed, epoch, step, its number and unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.training.random.seeding import derive_key, hash_units

WORDS = 2
"""Words that one draw may take."""


class Place(NamedTuple):
    """Tells where a draw has the examples of the batch."""

    axis: int
    multiple: int
    """Rows of this axis that belong to one example, one behind the other."""


LEADING = Place(axis=0, multiple=1)


@dataclass(frozen=True)
class Draw:
    """Describes one draw, for who looks at a forward pass."""

    name: str
    """The operation's."""
    shape: tuple[int, ...]
    by_example: bool
    integers: Tensor
    """What it is made from: of an example in each row, or all that belongs to the step in a single one."""

    @property
    def kind(self) -> tuple[str, bool, int]:
        """Return what is the same for all examples: the operation, whether it draws for each, and how much."""
        return self.name, self.by_example, self.integers.shape[1]


@dataclass
class MaskContext:
    """Holds what the random numbers of the current forward pass are a function of; a task sets it before each."""

    keys: Tensor | None = None
    """One key for each dropout layer, made from the epoch's seed, int64 (layers,); see `seeding.mask_keys`."""
    examples: Tensor | None = None
    """Ids of the batch's examples, int64 (B,)."""
    epoch_keys: Tensor | None = None
    """All other draws' keys, of the epoch, then of its steps, int64 (1 + steps,); see `seeding.operation_keys`."""
    draws: Tensor | None = None
    """Of these the two that the current forward pass draws by, of the epoch and of its step, int64 (2,)."""
    places: tuple[Place | None, ...] = ()
    """Where each draw of a forward pass has the examples; None where it has none. Found by `draws.learn_places`."""
    count: int = 0
    """Draws that the forward pass has made so far."""
    log: list[Draw] | None = None
    """Takes every draw where somebody looks."""

    def step_keys(self, step: int) -> Tensor | None:
        """Return the keys of a step's draws; None for networks that draw in dropout layers alone."""
        return None if self.epoch_keys is None else self.epoch_keys[: step + 2 : step + 1]

    def begin(self, examples: Tensor | None, draws: Tensor | None) -> None:
        """Begin a forward pass."""
        self.examples, self.draws, self.count = examples, draws, 0

    def end(self) -> None:
        """End a forward pass; dropout layers may compute parts of it again, as they number no draws."""
        self.draws = None

    def take(self, name: str, shape: Sequence[int], *, of_step: bool = False) -> Callable[[int], Tensor]:
        """Begin a draw.

        Args:
            name: The operation's.
            shape: What is drawn.
            of_step: Whether it has no batch dimension, whatever its shape.

        Returns:
            A function of the number of a word, below `WORDS`; it gives uniform 24-bit integers of the shape.

        Raises:
            RuntimeError: Outside of a forward pass, where draws have no number.
        """
        draws, examples, shape = self.draws, self.examples, tuple(shape)
        if draws is None or examples is None:
            raise RuntimeError(
                f"{name} draws while gradients are computed, as under torch.utils.checkpoint, and would draw otherwise "
                "than before: use nn.Dropout there, or do without checkpointing"
            )
        number, self.count = self.count, self.count + 1
        place = None if of_step else self._find_place(number, shape, len(examples))
        key = draws[1] if place is None else draws[0]
        rows = examples.new_zeros(1) if place is None else examples
        units = torch.Size(shape).numel() // len(rows)

        def words(word: int) -> Tensor:
            integers = hash_units(derive_key(key, number * WORDS + word), rows, units)
            if self.log is not None and word == 0:
                self.log.append(Draw(name, shape, place is not None, integers))
            return integers.view(shape) if place is None else _lay_out(integers, shape, place)

        return words

    def _find_place(self, number: int, shape: tuple[int, ...], batch: int) -> Place | None:
        if number < len(self.places):
            place = self.places[number]
            if place is None or (place.axis < len(shape) and shape[place.axis] == batch * place.multiple):
                return place
        return LEADING if shape and shape[0] == batch else None


def _lay_out(integers: Tensor, shape: tuple[int, ...], place: Place) -> Tensor:
    """Bring integers of an example in each row into the shape of a draw."""
    others = (*shape[: place.axis], *shape[place.axis + 1 :])
    return integers.view(shape[place.axis], *others).movedim(0, place.axis)
