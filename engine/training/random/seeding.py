"""Every random draw of a training, and every determinism flag: the one module that seeds torch.

A draw is a function of its source's seed, its purpose and its place (epoch, step, example), never of a stream
that other draws share. So no source disturbs another, nothing depends on which process trains a run or what
that process trained before, and a training can go on from any epoch.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch

from engine.recipe import LowLevel
from engine.training.compiler import load_compiler
from engine.training.random.entropy import derive_keys

Purpose = Literal["shuffle", "augment", "stochastic", "lowlevel", "bit", "subset", "synthetic", "sample"]

PURPOSES: dict[Purpose, int] = {
    "shuffle": 1,
    "augment": 2,
    "stochastic": 3,
    "lowlevel": 4,
    "bit": 5,
    "subset": 6,
    "synthetic": 7,
    "sample": 8,
}
"""First word of every key after the seed: equal seeds of two sources give unrelated draws."""


def keyed_generator(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """Return a counter-based generator (Philox) for one place; equal arguments give equal draws.

    Args:
        seed: The source's seed.
        purpose: What is drawn.
        place: Epoch, step, … as far as the draw depends on them.
    """
    sequence = np.random.SeedSequence([seed, PURPOSES[purpose], *place])
    return np.random.Generator(np.random.Philox(sequence))


def legacy_generator(seed: int) -> np.random.RandomState:
    """Return numpy's former generator: data that were published as a program's output were drawn from its stream."""
    return np.random.RandomState(seed)


def draw_bootstrap(seed: int, examples: int) -> np.ndarray:
    """Draw as many training examples as there are, with repetition, int64 (examples,), ascending."""
    return np.sort(keyed_generator(seed, "sample").integers(examples, size=examples))


def draw_split(seed: int, examples: int, left_out: int) -> np.ndarray:
    """Draw the training examples that are left when some are left out, int64 (examples − left_out,), ascending."""
    return np.sort(keyed_generator(seed, "sample").permutation(examples)[left_out:])


def epoch_order(seed: int, epoch: int, examples: int, copy: int = 0) -> np.ndarray:
    """Draw the order of the training examples in one epoch, a permutation of 0…examples−1, int64.

    Args:
        seed: The source's seed.
        epoch: Counted from 1.
        examples: How many there are.
        copy: Which copy of them is ordered, where a sample holds examples more than once.
    """
    return keyed_generator(seed, "shuffle", epoch, *_name_copy(copy)).permutation(examples)


def _name_copy(copy: int) -> tuple[int, ...]:
    """Return the place of a copy in a key; the first one has the key of the example itself."""
    return (copy,) if copy else ()


def batch_order(seed: int, epoch: int, step: int, size: int) -> np.ndarray:
    """Draw an order inside one minibatch, a permutation of 0…size−1: same sum in exact arithmetic, other rounding."""
    return keyed_generator(seed, "lowlevel", epoch, step).permutation(size)


KEYS_AT_ONCE = 1024
"""Keys of minibatches that are derived together: that takes twice as long as forty of them, which are an epoch's."""


@lru_cache(maxsize=256)
def _derive_batch_keys(seed: int, block: int, epochs: int, steps: int) -> np.ndarray:
    """Derive the keys of the minibatches of some epochs, from epoch block · epochs on, uint64 (epochs, steps, 2)."""
    first = block * epochs
    places = np.repeat(np.arange(first, first + epochs), steps), np.tile(np.arange(steps), epochs)
    return derive_keys([seed, PURPOSES["lowlevel"]], *places).reshape(epochs, steps, 2)


def shuffle_batches(order: np.ndarray, batch_size: int, seed: int, epoch: int) -> None:
    """Put the examples of every minibatch of an epoch into the order that `batch_order` draws for it, in place.

    A generator that gets another key is as good as a new one, and costs a sixth of it.
    """
    starts = range(0, len(order), batch_size)
    epochs = max(1, KEYS_AT_ONCE // len(starts))
    keys = _derive_batch_keys(seed, epoch // epochs, epochs, len(starts))[epoch % epochs]
    generator = keyed_generator(seed, "lowlevel", epoch, 0)
    state = generator.bit_generator.state
    for start, key in zip(starts, keys, strict=True):
        state["state"]["key"] = key
        generator.bit_generator.state = state
        generator.shuffle(order[start : start + batch_size])


@dataclass(frozen=True)
class AugmentationDraws:
    """One crop and flip per training example, indexed by example and not by position in the epoch."""

    top: np.ndarray
    """Rows by which the crop is moved, 0…2·pad, int64 (N,)."""
    left: np.ndarray
    flip: np.ndarray
    """bool (N,)."""

    def at(self, places: np.ndarray) -> AugmentationDraws:
        """Return the draws of some examples, in this order."""
        return AugmentationDraws(self.top[places], self.left[places], self.flip[places])


def join_draws(parts: Sequence[AugmentationDraws]) -> AugmentationDraws:
    """Return draws one after the other."""
    top, left, flip = (np.concatenate([getattr(one, name) for one in parts]) for name in ("top", "left", "flip"))
    return AugmentationDraws(top, left, flip)


def draw_augmentation(seed: int, epoch: int, examples: int, pad: int, copy: int = 0) -> AugmentationDraws:
    """Draw crops and flips of one epoch: a function of seed, epoch and example alone.

    Differs from the published code, where a worker's stream is used in the order of the batch, so that another
    order of the data also gives each example another crop.
    """
    generator = keyed_generator(seed, "augment", epoch, *_name_copy(copy))
    offsets = generator.integers(0, 2 * pad + 1, size=(2, examples))
    return AugmentationDraws(offsets[0], offsets[1], generator.random(examples) < 0.5)


def draw_bit_place(seed: int, weights: int) -> tuple[int, bool]:
    """Draw which of a parameter's weights is moved, and whether upwards."""
    generator = keyed_generator(seed, "bit")
    return int(generator.integers(weights)), bool(generator.random() < 0.5)


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed torch's own generators for one step, for what a network draws past the keys of `draws.KeyedDraws`.

    One torch seed holds for all devices; a CUDA generator that does not exist yet takes it when it is made.
    """
    torch.manual_seed(int(keyed_generator(seed, "stochastic", epoch, step).integers(2**63)))


@contextlib.contextmanager
def initialised_under(seed: int) -> Generator[None]:
    """Seed all global generators for the building of a model, and restore their states afterwards.

    Source: the published code's `set_rng_state`: initialisation takes nothing from other streams.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' modules draw from it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextlib.contextmanager
def name_disturbed() -> Generator[list[str]]:
    """Yield a list that gets, at the end, the names of the global generators beside torch's that were drawn from."""
    names: list[str] = []
    python_state, numpy_state = random.getstate(), _numpy_state()
    yield names
    if random.getstate() != python_state:
        names.append("Python's global generator (random)")
    if _numpy_state() != numpy_state:
        names.append("numpy's global generator (numpy.random)")


def _numpy_state() -> tuple[bytes, int, int]:
    _, keys, position, has_gauss, _ = np.random.get_state()  # noqa: NPY002
    return np.asarray(keys).tobytes(), int(position), int(has_gauss)


def set_kernels(lowlevel: LowLevel, precision: str) -> None:
    """Set every flag that decides which kernels run, whatever was set before.

    Args:
        lowlevel: kernels gives CUDA free choice and autotunes, as the published code does where it varies cuDNN;
            order and deterministic allow repeatable kernels only.
        precision: fp32 is IEEE arithmetic (TF32 would swallow a change of one ulp); bf16 is set by autocast.
    """
    free = lowlevel == "kernels"
    if torch.cuda.is_available():
        load_compiler()
    # The same flag as `use_deterministic_algorithms`, which loads the compiler to tell it as well.
    torch.set_deterministic_debug_mode("default" if free else "error")
    # Filling new memory costs time, and changes no result of a model that reads only what it has written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue] - set dynamically
    torch.backends.cudnn.deterministic = not free
    torch.backends.cudnn.benchmark = free
    multiply = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = multiply
    torch.backends.cudnn.conv.fp32_precision = multiply  # pyright: ignore[reportAttributeAccessIssue] - untyped
    torch.backends.cudnn.rnn.fp32_precision = multiply  # pyright: ignore[reportAttributeAccessIssue] - untyped


def use_one_thread() -> None:
    """Use one CPU thread per run: rounding depends on the number of threads, and more runs beat more threads."""
    torch.set_num_threads(1)


def step_generator(seed: int, epoch: int, step: int) -> torch.Generator:
    """Return a generator of torch's on the CPU for the random draws of one step of the stochastic source."""
    generator = torch.Generator()
    generator.manual_seed(int(keyed_generator(seed, "stochastic", epoch, step, 1).integers(2**63)))
    return generator


MASK_32 = 0xFFFFFFFF

HASH_RANGE = 2**24
"""How many numbers `hash_units` chooses from."""


def mask_keys(seed: int, epoch: int, layers: int) -> torch.Tensor:
    """Draw a 32-bit key for each random layer of a model in one epoch, int64 (layers,)."""
    keys = [int(keyed_generator(seed, "stochastic", epoch, layer).integers(2**32)) for layer in range(layers)]
    return torch.tensor(keys, dtype=torch.int64)


def operation_keys(seed: int, epoch: int, steps: int) -> torch.Tensor:
    """Draw the 32-bit keys of a network's random operations: of an epoch, then of its steps, int64 (1 + steps,)."""
    keys = keyed_generator(seed, "stochastic", epoch, 0, 2).integers(2**32, size=1 + steps)
    return torch.from_numpy(keys)


def segment_keys(seed: int, epoch: int, steps: int, masks: int) -> np.ndarray:
    """Draw the 32-bit keys of a language model's masks in an epoch, int64 (steps, masks); see `hash_units`."""
    return keyed_generator(seed, "stochastic", epoch, 0, 3).integers(2**32, size=(steps, masks))


def derive_key(key: torch.Tensor, number: int) -> torch.Tensor:
    """Derive a key from another one, int64 (): of the draws of one number that a forward pass makes under it."""
    return _mix(key + (number + 1) * 0x9E3779B1)


def hash_units(key: torch.Tensor, examples: torch.Tensor, units: int) -> torch.Tensor:
    """Return uniform 24-bit integers for every unit of every example: a function of their names alone.

    Integer arithmetic, so equal on every device.

    Args:
        key: The key of the seed, the epoch and the layer, int64 (); see `mask_keys`.
        examples: Example ids, int64 (B,).
        units: Units per example.

    Returns:
        int64 (B, units), in 0…2²⁴−1.
    """
    rows = _mix(_mix(examples ^ key) + 0x9E3779B9)
    columns = _mix(torch.arange(units, device=examples.device) * 0x85EBCA6B + key)
    return _mix(rows[:, None] ^ columns[None, :]) >> 8


def hash_grids(keys: torch.Tensor, rows: Sequence[torch.Tensor], columns: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """Return what `hash_units` returns for each of some keys, rows and columns, from one call of every kernel.

    Args:
        keys: One per grid, int64.
        rows: The numbers of each grid's rows, int64.
        columns: How many columns each grid has.
    """
    each = list(zip(keys.unbind(), rows, columns, strict=True))
    across = [torch.arange(count, device=keys.device) * 0x85EBCA6B + key for key, _, count in each]
    down = _mix(_mix(torch.cat([numbers ^ key for key, numbers, _ in each])) + 0x9E3779B9)
    parts = zip(down.split([len(one) for one in rows]), _mix(torch.cat(across)).split(list(columns)), strict=True)
    mixed = _mix(torch.cat([(one[:, None] ^ other[None, :]).flatten() for one, other in parts])) >> 8
    sizes = [len(numbers) * count for _, numbers, count in each]
    return tuple(
        part.view(len(numbers), count) for part, (_, numbers, count) in zip(mixed.split(sizes), each, strict=True)
    )


def _mix(x: torch.Tensor) -> torch.Tensor:
    """Mix 32-bit integers held in int64, bijectively.

    Source: "triple32" of https://github.com/skeeto/hash-prospector, bias 0.0208.
    """
    x = x & MASK_32
    x = x ^ (x >> 17)
    x = (x * 0xED5AD4BB) & MASK_32
    x = x ^ (x >> 11)
    x = (x * 0xAC4C1B51) & MASK_32
    x = x ^ (x >> 15)
    x = (x * 0x31848BAB) & MASK_32
    return x ^ (x >> 14)
