"""A protocol as frozen values: what a checked file says, with every default and override applied."""

from __future__ import annotations

from dataclasses import dataclass

from engine.recipe import DataRecipe, EvaluateRecipe, ModelRecipe, TrainRecipe


@dataclass(frozen=True)
class Ensemble:
    """Members of an arm that is not trained: disjoint groups of another arm's replicas, their logits averaged."""

    of: str
    """Name of the arm whose runs are the members."""
    size: int


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One row of a table: the sources that vary and the settings that hold in it."""

    name: str
    vary: tuple[str, ...]
    """In the order of `sources.SOURCES`; empty for a control."""
    replicas: int
    data: DataRecipe
    """Target digests are not filled in yet: the plan does that."""
    model: ModelRecipe
    train: TrainRecipe
    onset: int = 0
    """The last epoch in which the varying sources still hold their base seeds; 0 where they differ from the start."""
    listed_onset: int | None = None
    """The same where the protocol lists onsets, which makes this arm a point of a curve; None for others."""
    ensemble: Ensemble | None = None
    crossed: tuple[tuple[str, int], ...] = ()
    """Two sources and their numbers of seeds, of which every pair is a run; empty for other arms."""
    evaluate: EvaluateRecipe | None = None


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """Where and how runs are trained; only packs and how they compute change a result."""

    executor: str = "local"
    """A name in `catalog.executors`: what starts the workers, and where."""
    devices: tuple[str, ...] | str = "auto"
    """auto, cpu, or CUDA device names."""
    slots_per_device: int | str = "auto"
    keep_weights: bool = True
    checkpoint_s: float = 60.0
    pack: int | str = 1
    """Replicas that one slot trains at once, or auto."""
    memory_format: str = "auto"
    """Of convolutions in packs: auto, contiguous or channels-last."""
    compile: bool = False
    """Whether torch.compile makes the kernels of packs."""
    graphs: bool = True
    """Whether a pack's step is recorded and replayed on CUDA; changes no result."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A whole protocol file."""

    file: str
    """Path as the user gave it, for messages."""
    text: str
    """The file's content, verbatim."""
    overrides: tuple[str, ...]
    """The KEY=VALUE texts that were applied on top of it."""
    name: str
    description: str
    reference: str | None
    """Published table whose rows are shown beside the arms."""
    arms: tuple[Arm, ...]
    seeds: dict[str, int]
    """Base seed of every source that can be seeded, bit excluded: while it does not vary nothing is moved."""
    lowlevel_mode: str
    """auto, kernels or order."""
    bit_parameter: str
    bit_ulps: int
    bootstrap: int
    cka: bool
    """Whether inner layers are compared once an arm's runs are done."""
    cka_examples: int
    data_root: str
    dispatch: Dispatch
