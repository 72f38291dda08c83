"""The recipe of a run: exactly what determines its result, and the id derived from it.

Nothing else belongs here: no path, device index, worker count or retention setting. Whoever trains a recipe
twice with deterministic kernels gets the same bits; whoever changes a field gets another id.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

import msgspec

from engine.decoding import convert

RECIPE_VERSION = 1
"""Raised by hand whenever the training code changes results for an unchanged recipe."""

ID_LENGTH = 16
"""Hex digits of a run id: 64 bits, so that 10,000 runs collide with probability 3e-12."""

MAX_REPLICAS = 10_000
"""Replicas that an arm may have at most."""

MAX_BOOTSTRAP = 1_000_000
"""Resamples of an arm's replicas that may be asked for."""

MOST_SKETCHES = 8
"""Notes of where the weights are that are taken in one epoch at most."""

MAX_EPOCHS = 100_000
"""Epochs that a run may be trained for at most."""

EVALUATION_STREAMS = 10
"""Parts of a test text that are read side by side after every epoch; each begins without what stands before it."""

MAX_PACK = 1024
"""Runs that a pack may have at most."""

KEYED_DRAWS = 1
"""The way in which a network's random operations are keyed; raised by hand whenever other draws come of it."""

HASHED_MASKS = 1
"""The way in which masks of a language model are computed from keys; raised by hand whenever others come of it."""

Scalar = str | int | float | bool
LowLevel = Literal["order", "kernels", "deterministic"]
DeviceType = Literal["cpu", "cuda"]
Compiled = bool | Literal["step"]
"""What torch.compile makes the kernels of: True of a network, "step" of whole training steps as one program."""


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """The examples that a run is trained and tested on."""

    preset: str | None = None
    """Name in `catalog.DATA`; None where `target` is set."""
    target: str | None = None
    """The user's "module:function"; see docs/protocol.md for what it returns."""
    target_sha256: str | None = None
    """Digest of the target's source file, so that an edited loader is another run."""
    train_size: int = 0
    """Training examples kept by a fixed, seeded draw; 0 keeps all."""
    test_size: int | None = None
    """Test examples, where the preset makes as many as are wanted; None where they are given."""
    augment: str = "none"
    """none, crop, flip or crop-flip; already resolved from "auto"."""
    sample: str | None = None
    """bootstrap or split: how the seed of `sample` draws training examples; None where all of them are trained on."""
    validation_size: int | None = None
    """Training examples that a split leaves out; None without one."""

    @property
    def name(self) -> str:
        """The name in messages: the preset, or the user's function."""
        return self.preset or self.target or ""


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The network of a run; its input shape and its number of classes come from the data."""

    preset: str | None = None
    target: str | None = None
    target_sha256: str | None = None
    width: float = 1.0
    """Factor on the channel counts of the residual networks."""
    args: tuple[tuple[str, Scalar], ...] = ()
    """Keyword arguments for the user's target, sorted by name."""
    draws: int | None = None
    """`KEYED_DRAWS`; None for the project's own networks, whose random layers are keyed by themselves."""
    masks: int | None = None
    """`HASHED_MASKS` where a language model's masks are computed from keys, as on CUDA; None: they are drawn on the CPU
    from a generator for every step."""

    @property
    def name(self) -> str:
        """The name in messages: the preset, or the user's function."""
        return self.preset or self.target or ""


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """Optimisation settings, in the words of the protocol's [train] section."""

    epochs: int
    batch_size: int
    optimizer: str = "sgd"
    lr: float = 0.40
    momentum: float = 0.9
    weight_decay: float = 5e-4
    bias_bn_lr_scale: float = 0.1
    schedule: str = "cosine"
    warmup_epochs: float = 3.0
    clip_grad_norm: float = 0.0
    precision: str = "fp32"
    cycles: int | None = None
    """The number of cycles of the snapshot schedule; None for the other schedules."""
    weight_noise: float | None = None
    """SD of the Gaussian noise that a step's gradient is taken under, as a share of each tensor's RMS; None is off."""
    averaging: str | None = None
    """swa or aswa: the mean of the weights after each epoch, or each step, of the last quarter; None is off."""
    bptt: int | None = None
    """Tokens that a language model's gradient reaches back over; None for images."""
    activation_reg: float | None = None
    """Factor on the mean square of a language model's last activations in its loss; None for images."""
    slowness_reg: float | None = None
    """Factor on the mean square of their change from token to token."""
    select: str | None = None
    """best-validation: a language model's final weights are those of the epoch with the least validation loss; None:
    those of the last epoch."""


@dataclass(frozen=True, kw_only=True)
class EvaluateRecipe:
    """Views of each test image whose logits are averaged: every crop, and its mirror image where `flip` is set."""

    flip: bool = False
    crops: int = 1
    """A square number: crops on a regular grid over the padding that training crops reach into; 1 is the image."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """One seed per seeded source; None where the source is empty for this data and model."""

    init: int
    shuffle: int
    augment: int | None = None
    stochastic: int | None = None
    lowlevel: int | None = None
    """Seed of the order inside each minibatch; None unless `Recipe.lowlevel` is "order"."""
    sample: int | None = None


NO_SEEDS = Seeds(init=0, shuffle=0)


@dataclass(frozen=True, kw_only=True)
class BitChange:
    """One weight moved before training starts, or at the onset."""

    seed: int
    parameter: str = "first"
    ulps: int = 1
    """Units in the last place."""
    share: float | None = None
    """The share of its value by which the weight is moved instead; None where ulps count."""


@dataclass(frozen=True, kw_only=True)
class Onset:
    """The seeds and settings that hold until the varying sources start to differ, and the epoch when that is."""

    epoch: int
    """The last epoch of the common beginning."""
    seeds: Seeds
    lowlevel: LowLevel


@dataclass(frozen=True, kw_only=True)
class PackRecipe:
    """The kind of pack that a run is trained in: it determines the run's kernels, and so its rounding."""

    size: int
    """Replicas that are trained at once."""
    shared_batch: bool
    """Whether all of them see the same batches, which are then multiplied with all weights at once."""
    channels_last: bool = False
    """Whether convolutions have their channels innermost in memory."""
    compiled: bool = False
    """Whether kernels are generated by torch.compile."""


@dataclass(frozen=True, kw_only=True)
class CommandRecipe:
    """Holds what determines the result of a user's own program: not where it lies, nor which Python runs it."""

    words: tuple[str, ...]
    """Its command line, with placeholders."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that it gets, with placeholders, sorted by name."""
    seeds: tuple[tuple[str, int], ...] = ()
    """The seed of each source that a placeholder names, sorted by name."""
    arguments: tuple[tuple[str, Scalar], ...] = ()
    """The arm's own arguments, sorted by name."""
    replica: int | None = None
    """The number of the replica, where a placeholder asks for it."""
    files_sha256: str | None = None
    """Digest of the program's files; None where the protocol names none."""
    kind: str = "logits"
    """What the program leaves: logits, probabilities, classes or scores."""
    predictions: str = "predictions.npy"
    labels: str = "labels.npy"
    resume: tuple[str, ...] | None = None
    """The words with which it is to go on after it was cut on purpose: of the run alone that tests this; else None."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training with every seed and setting fixed."""

    data: DataRecipe
    model: ModelRecipe
    train: TrainRecipe
    seeds: Seeds
    lowlevel: LowLevel
    """order: seeded order inside each minibatch; kernels: CUDA chooses freely; deterministic: neither of them."""
    device: DeviceType
    bit: BitChange | None = None
    repeat: int | None = None
    """Which repetition of an otherwise equal recipe: set for controls and for what cannot be seeded."""
    onset: Onset | None = None
    """None where the sources differ from the start."""
    evaluate: EvaluateRecipe | None = None
    """Test-time augmentation; None where each test image is seen once, as it is."""
    streams: int | None = None
    """Parts of the test text that are read side by side for a language model's final prediction; None: as after every
    epoch."""

    pack: PackRecipe | None = None
    """None where the run is trained alone."""
    compiled: Compiled | None = None
    """What is compiled of a run that is trained alone, as compiled kernels round otherwise; with "step" figures of the
    test set are added up by class, too. None where nothing is, and in a pack, which says so itself."""
    command: CommandRecipe | None = None
    """The user's own program; None where this program trains: data, model, settings and seeds say nothing beside it."""

    @property
    def id(self) -> str:
        """First 64 bits of the SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()[:ID_LENGTH]

    def canonical_json(self) -> str:
        """Return the text that the id hashes: sorted keys without white space, and the shortest floats.

        Numbers are written as their fields are declared, so that 1 and 1.0 are one learning rate. What is None is left
        out, so that a setting which is off where it came later leaves older ids as they are.
        """
        declared = convert(msgspec.to_builtins(self), Recipe)
        content = {"recipe_version": RECIPE_VERSION} | asdict(declared, dict_factory=_drop_none)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def prefix(self) -> Recipe:
        """The common beginning as a recipe of its own: what a run with an onset trains until then."""
        if self.onset is None:
            return self
        seeds, lowlevel = self.onset.seeds, self.onset.lowlevel
        return replace(
            self, seeds=seeds, lowlevel=lowlevel, bit=None, repeat=None, onset=None, evaluate=None, streams=None
        )

    @property
    def trained(self) -> Recipe:
        """The run whose training this one only evaluates otherwise; itself where it has no such twin.

        The snapshot schedule's members are gone when training has ended, so such runs are trained themselves.
        """
        if self.evaluate is None or self.train.cycles is not None:
            return self
        return replace(self, evaluate=None)

    @property
    def runs_user_code(self) -> bool:
        """Tell whether its model or its data come from a user's function, which may keep state between runs."""
        return self.model.target is not None or self.data.target is not None

    @property
    def companions(self) -> str | None:
        """The key that is equal for runs that may be trained in one pack; None for a run that is trained alone."""
        if self.pack is None:
            return None
        # Text is cut into segments by the stochastic source: replicas that are stacked read the same ones.
        apart = replace(NO_SEEDS, stochastic=self.seeds.stochastic) if self.train.bptt is not None else NO_SEEDS
        seeds = replace(self.seeds, init=0) if self.pack.shared_batch else apart
        return hashlib.sha256(repr((replace(self, seeds=NO_SEEDS, bit=None, repeat=None), seeds)).encode()).hexdigest()

    @property
    def neighbours(self) -> str | None:
        """The key that is equal for runs that one process may train side by side; None for a run that wants its own.

        The kernels that a GPU chooses freely are kept for the whole process, and a user's code may keep anything.
        """
        free = "kernels" in (self.lowlevel, self.onset and self.onset.lowlevel)
        if self.pack is not None or free or self.runs_user_code:
            return None
        onset = None if self.onset is None else replace(self.onset, seeds=NO_SEEDS)
        alike = replace(self, seeds=NO_SEEDS, bit=None, repeat=None, onset=onset)
        return hashlib.sha256(repr(alike).encode()).hexdigest()

    def at(self, epoch: int) -> Recipe:
        """Return the recipe that holds in an epoch: up to the onset that of the common beginning, later this one."""
        return self.prefix if self.onset is not None and epoch <= self.onset.epoch else self

    def is_first_after_onset(self, epoch: int) -> bool:
        """Tell whether an epoch is the first one behind the common beginning: from here on other kernels may hold."""
        return self.onset is not None and epoch == self.onset.epoch + 1


def _drop_none(items: list[tuple[str, object]]) -> dict[str, object]:
    return {key: value for key, value in items if value is not None}
