"""A protocol as frozen values: what a checked file says, with every default and override applied."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.protocol.command_section import Command
from engine.protocol.compare_section import Comparing
from engine.protocol.dispatch_section import Dispatching
from engine.protocol.sections import Bit, LowLevel, Metrics
from engine.recipe import DataRecipe, EvaluateRecipe, ModelRecipe, Scalar, TrainRecipe


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
    bit: Bit = Bit()  # noqa: RUF009 - frozen, so that it can be shared
    """How the source bit acts in it."""
    evaluate: EvaluateRecipe | None = None
    streams: int | None = None
    """See `Recipe.streams`."""
    arguments: tuple[tuple[str, Scalar], ...] = ()
    """Values of the placeholders {arm.KEY} of a command, sorted by name."""
    allow_unisolated: bool = False
    """Whether it is trained even where sources leak into each other in its network."""


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
    data_root: str
    trusted: tuple[str, ...]
    """Modules from elsewhere that targets may be taken from."""
    seeds: dict[str, int]
    """Base seed of every source that can be seeded, bit excluded: while it does not vary nothing is moved."""
    lowlevel: LowLevel
    metrics: Metrics
    dispatch: Dispatching
    command: Command | None = None
    """The user's own program; None where this program trains."""
    sources: dict[str, str] = field(default_factory=dict[str, str])
    """Titles that [sources] gives, of the sources of a command."""
    compare: Comparing | None = None
    """Which two arms are compared; None where the file does not say."""
