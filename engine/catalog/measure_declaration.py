"""Defines what is declared of a measure; the declarations themselves are in `measures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95
"""The level of every interval."""

NORMAL_QUANTILE = 1.959963984540054
"""Standard errors to each side of a value that hold 95 % of a normal distribution."""

Group = Literal["images", "text", "diagnostics"]
"""Whose measures: of networks that classify, of language models, or what a spread of either is made of."""

Statistic = Literal["mean", "sd", "pairs", "arm"]
"""How replicas become one number: mean or SD of a figure of each, mean of a figure of each pair, or all at once."""

Uncertainty = Literal["none", "bootstrap", "jackknife"]
"""What stands beside the value: nothing, the SD of it over bootstrap resamples of the replicas (field KEY_error), or a
95 % interval from leaving out each replica in turn (field KEY_ci)."""

View = Literal["table", "monitor", "published"]
"""Where a measure is a column: the table of results, the live screen, the paper's tables."""

STATISTICS: tuple[Statistic, ...] = ("mean", "sd", "pairs", "arm")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of an arm's replicas."""

    key: str
    """Its field in metrics.json, in the CSV and in Python."""
    group: Group
    statistic: Statistic
    uncertainty: Uncertainty = "none"
    title: str
    """Heads a column."""
    short: str
    """Heads a narrow column."""
    unit: str
    digits: int = 2
    """Decimals where no error or interval says how many are worth showing."""
    views: tuple[View, ...] = ()
    meaning: str
    """One sentence for people who see it the first time."""
    formula: str
    latex: str
    source: str
    version: int = 1
    """A number that is raised when the formula changes, so that earlier values are computed again."""

    @property
    def error_field(self) -> str | None:
        """The field of its bootstrap error; None where it has none."""
        return f"{self.key}_error" if self.uncertainty == "bootstrap" else None

    @property
    def interval_field(self) -> str | None:
        """The field of its interval; None where it has none."""
        return f"{self.key}_ci" if self.uncertainty == "jackknife" else None

    @property
    def fields(self) -> tuple[str, ...]:
        """All of its fields: the value's, then that of what stands beside it."""
        return (self.key, *(name for name in (self.error_field, self.interval_field) if name is not None))

    @property
    def spread_key(self) -> str | None:
        """Return the key that the SD of the same figure would have; None where the measure is no mean over replicas."""
        return f"{self.key.removesuffix('_mean')}_sd" if self.statistic == "mean" else None
