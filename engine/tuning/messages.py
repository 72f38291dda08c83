"""Messages to and from the processes that try recipes out: one frozen record for each.

A message is one line of JSON, or all that a process reads or writes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Generic, Literal, TypeVar

import msgspec

from engine.catalog.work import Work
from engine.decoding import convert
from engine.plan.records import Leak, Packing
from engine.recipe import PackRecipe, Recipe

Part = Literal["device", "data", "model", "batch", "pack", "bit", "compile"]
"""What of a recipe, or of the machine, keeps it from being trained."""


class Message(msgspec.Struct, frozen=True):
    """Holds what one process tells another."""


M = TypeVar("M", bound=Message)


class Surroundings(Message, frozen=True, kw_only=True):
    """Tells what every training process has to know beside its recipe."""

    root: str
    """The folder of the data files."""
    search_path: tuple[str, ...]
    """Folders in which the user's targets are looked for."""
    trusted: tuple[str, ...] = ()
    """Modules from elsewhere that they may be taken from."""
    graphs: bool
    """Whether steps on CUDA are recorded and replayed."""
    side_by_side: int | str = 1
    """Single runs that one process trains at once on CUDA; "auto" for as many as fit into memory."""


class FactsQuestion(Message, frozen=True, kw_only=True, tag="facts"):
    """Asks whether a recipe can be trained, and what is to be known of it before."""

    recipe: Recipe
    """With a pack or without."""
    timed: bool
    """Whether to train for about a second to see how long an epoch takes."""
    isolation: bool = False
    """Whether to test that sources stay apart in its network."""
    counted: bool = False
    """Whether to count what its network does with an image."""
    digested: bool = False
    """Whether to take the digest of its data, which another process is to load alike."""


class PackQuestion(Message, frozen=True, kw_only=True, tag="pack"):
    """Asks how runs that may share a pack are best trained."""

    recipe: Recipe
    """Of one of them, without a pack."""
    shared_batch: bool
    """Whether they see the same batches."""
    sizes: tuple[int, ...] | None
    """Sizes to choose from; None tries what fits the number of runs."""
    runs: int
    """How many there are."""
    slots: int
    """How many are trained side by side."""
    compiled: bool
    """Whether a pack's kernels are compiled."""
    memory_format: str
    """The protocol's, "auto" included."""
    strict: bool
    """Whether an arm shows rounding alone, so that slots must leave no trace."""

    def pack(self, size: int, *, channels_last: bool | None = None) -> Recipe:
        """Return the recipe in a pack."""
        last = self.memory_format == "channels-last" if channels_last is None else channels_last
        pack = PackRecipe(size=size, shared_batch=self.shared_batch, channels_last=last, compiled=self.compiled)
        return replace(self.recipe, pack=pack, compiled=None)


class KernelsQuestion(Message, frozen=True, kw_only=True, tag="kernels"):
    """Asks which gradients free kernels give in one step that is repeated in a process."""

    recipe: Recipe
    """With free kernels."""


class DataQuestion(Message, frozen=True, kw_only=True, tag="data"):
    """Asks which data a process loads."""

    recipe: Recipe


Question = FactsQuestion | PackQuestion | KernelsQuestion | DataQuestion


class ProbeRequest(Message, frozen=True, kw_only=True):
    """Asks a training process some questions."""

    surroundings: Surroundings
    questions: tuple[Question, ...]


class TaskFacts(Message, frozen=True, kw_only=True):
    """Tells what a person wants to know of data and model before training."""

    train_examples: int
    test_examples: int
    input_shape: tuple[int, ...]
    """Empty for text."""
    classes: int
    stochastic: bool
    """Whether the model has dropout or other random layers."""


class Facts(TaskFacts, frozen=True, kw_only=True, tag="facts"):
    """Answers a `FactsQuestion` about a recipe that can be trained."""

    parameters: int
    seconds_per_epoch: float | None
    """Training and evaluation on one slot; None where it was not timed."""
    seconds_guess: float
    """An epoch's time after one untimed step: its order of magnitude."""
    seconds_load: float
    seconds_compile: float | None = None
    """What torch.compile took for steps of an epoch's sizes and a batch of the test set; None where nothing is
    compiled."""
    memory_bytes: int
    kernel_digests: tuple[str, ...] | None = None
    """Of the different gradients that free kernels gave in one repeated step; None without such runs."""
    work: Work | None = None
    """What its network does with an image; None where that was not asked for, or cannot be counted."""
    slot_invariant: bool | None
    """Whether a run has the same bits in every slot of a pack; None without packs."""
    size_invariant: bool | None
    """Whether a pack of one gives the same bits; None without packs."""
    leak: Leak | None = None
    """How sources leak into each other in its network; None where they do not, or that was not asked for."""
    probabilities: bool = False
    """Whether a user's network returns probabilities, where logits are expected."""
    data_sha256: str | None = None
    """The digest of its data; None where that was not asked for."""


class FoundPacking(Message, frozen=True, kw_only=True, tag="packing"):
    """Answers a `PackQuestion` about a recipe that can be trained."""

    packing: Packing


class KernelDigests(Message, frozen=True, kw_only=True, tag="digests"):
    """Answers a `KernelsQuestion`."""

    digests: tuple[str, ...]
    """Of the different gradients, sorted."""


class DataDigest(Message, frozen=True, kw_only=True, tag="data-digest"):
    """Answers a `DataQuestion`."""

    data_sha256: str


class Refusal(Message, frozen=True, kw_only=True, tag="refusal"):
    """Answers a question about a recipe that cannot be trained."""

    part: Part
    error: str
    remedy: str


Answer = Facts | FoundPacking | KernelDigests | DataDigest | Refusal

A = TypeVar("A", bound=Facts | FoundPacking | KernelDigests | DataDigest)


class ProbeAnswers(Message, Generic[A], frozen=True, kw_only=True):
    """Answers the questions of a `ProbeRequest`, all of one type, in their order."""

    answers: tuple[A | Refusal, ...]


class RivalRequest(Message, frozen=True, kw_only=True):
    """Asks a training process to prepare a recipe, then to time it at every `Go`; the first line that it reads."""

    surroundings: Surroundings
    recipe: Recipe


class Go(Message, frozen=True, tag="go"):
    """Has a rival train for a moment."""


class Ready(Message, frozen=True, tag="ready"):
    """Tells that a rival has prepared its recipe."""


class RivalTime(Message, frozen=True, kw_only=True, tag="time"):
    """Tells how long a rival took while others trained beside it."""

    seconds: float
    """Of an epoch and run."""


class RaceRequest(Message, frozen=True, kw_only=True):
    """Asks for several rivals at once on one device."""

    rival: RivalRequest
    counts: tuple[int, ...]
    """How many at once, in growing order."""


class RaceAnswer(Message, frozen=True, kw_only=True):
    """Answers a `RaceRequest`."""

    trials: tuple[tuple[int, float], ...]
    """For each count that all rivals survived the epochs per second of all of them, counted as runs."""
    limit: str | None = None
    """Which count was too many, and how that showed; None where all were survived."""


def encode_message(message: Message) -> str:
    """Return a message as one line of JSON in ASCII: paths in it need not be Unicode."""
    return json.dumps(msgspec.to_builtins(message))


def decode_message(text: str, message_type: type[M]) -> M:
    """Return the message in some JSON.

    Raises:
        ValueError: If it holds something else.
    """
    return convert(json.loads(text), message_type)
