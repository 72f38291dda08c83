"""Holds what is found out about two runs of a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.tracing.comparison import Verdict
from engine.tracing.records import Difference, Record
from tui.commands.diverge_causes import Cause


@dataclass(frozen=True)
class Tried:
    """Says what came of an experiment."""

    name: str
    agree: bool


@dataclass
class Report:
    """Holds what was found out."""

    words: Sequence[str]
    mark: int | None = None
    """The first mark that differs; None where the runs agree, or have no marks."""
    step: int = 0
    """The first step that differs, from 1; 0 before the first one, or where no optimiser took a step."""
    steps: int = 0
    """Steps that agree."""
    optimiser: str = ""
    what: str = ""
    """What differs first: `weights`, `inputs` of networks, `gradients`, or the `length` of the runs."""
    whole: bool = False
    """Whether the program has no optimiser and was compared as a whole."""
    seen_again: bool = True
    """Whether runs whose operations are recorded differ, too; what happens rarely may not."""
    agreed: int = 0
    """Pairs of runs that agreed before one differed; of runs whose operations are recorded all, where none does."""
    unread: int = 0
    """Tensors that could not be read and were left out."""
    verdict: Verdict | None = None
    before: Sequence[Record] = ()
    difference: Difference | None = None
    causes: list[Cause] = field(default_factory=list[Cause])
    tried: list[Tried] = field(default_factory=list[Tried])
    untried_s: float = 0.0
    """Seconds that each experiment would have taken, where none was tried for that."""
    runs: int = 0
    seconds: float = 0.0

    @property
    def differs(self) -> bool:
        """Tell whether the runs differ."""
        return self.mark is not None or self.verdict is not None
