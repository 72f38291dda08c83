"""The records of a plan that its study keeps: an arm with its runs, and what trying packs has shown.

They stand apart from the making of plans, because whoever reads a study needs no protocol.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class PlannedArm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One arm with the run of each replica."""

    name: str
    vary: tuple[str, ...]
    runs: tuple[str, ...]
    """Run ids, replica 1 first; other arms may hold the same ids."""
    empty: dict[str, str]
    """Sources in `vary` that change nothing for this data and model, with the reason."""
    group: int
    """Members of each ensemble, taken from `runs` in order; 1 where replicas are single runs."""
    onset: int | None
    """The onset of an arm that lists several, 0 included; None for others."""
    crossed: tuple[tuple[str, int], ...]
    """Two sources and their numbers of seeds; `runs` holds every pair, the second source's seeds innermost."""
    unisolated: str | None = None
    """Why other sources than those that vary are not held, as a clause on its network; None where they are."""


class SelfTest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Names the runs that test a user's own program before all others."""

    control: tuple[str, str]
    """Two runs between which nothing varies."""
    sources: dict[str, tuple[str, ...]]
    """Source → a run and one or more others, which differ in its seed alone."""
    resumed: str | None = None
    """The control once more, cut in the middle, to go on from its checkpoint; None where the program cannot."""

    @property
    def runs(self) -> tuple[str, ...]:
        """All of them, each once, in the order in which they are trained."""
        pairs = (self.control, *self.sources.values())
        last = () if self.resumed is None else (self.resumed,)
        return tuple(dict.fromkeys([*(run for pair in pairs for run in pair), *last]))


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """Tells how sources of nondeterminism leak into each other in a network."""

    reason: str
    """A clause that begins with "its network"."""
    everywhere: bool
    """Whether no arm is isolated; otherwise only those that give examples other places or other company."""


class Packing(msgspec.Struct, frozen=True, kw_only=True):
    """Tells how the runs that may share a pack are trained, as found out by trying."""

    size: int
    """Replicas at once; 1 is each by itself."""
    channels_last: bool = False
    reason: str | None = None
    """Why each is trained by itself."""
    trials: tuple[tuple[int, float], ...] = ()
    """Sizes that were tried, with seconds per epoch and replica; empty where nothing was timed."""
    too_large: int | None = None
    """The smallest size that was found not to fit into memory; None where none was."""


Packings = Mapping[str, Packing]
"""By the key of the runs that may share a pack; see `packing.Stacking`."""
