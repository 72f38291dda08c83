"""Defines what is declared of a measure; the declarations themselves are in `measures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95
"""The level of every interval."""

POWER = 0.8
"""The probability with which what is there is to be found, where nobody asks for another."""

Group = Literal["images", "text", "diagnostics"]
"""Whose measures: of networks that classify, of language models, or what a spread of either is made of."""

Statistic = Literal["mean", "sd", "pairs", "arm"]
"""How replicas become one number: mean or SD of a figure of each, mean of a figure of each pair, or all at once."""

ErrorKind = Literal["none", "bootstrap"]
"""The error that stands behind the value, as the paper prints it: none, or the SD of the value over bootstrap resamples
of the replicas (field KEY_error)."""

IntervalKind = Literal["none", "mean", "sd", "pairs", "true_sd"]
"""How the 95 % interval of the value is made (field KEY_ci): there is none, Student's t over the replicas, chi-square
with degrees of freedom from the replicas' kurtosis, leaving out each replica in turn, or that of an SD less the noise
of the test set."""

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
    error: ErrorKind = "none"
    interval: IntervalKind = "none"
    bounds: tuple[float, float] | None = None
    """What no value of a measure can lie outside of, nor its interval; None where there are no bounds."""
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
    def wants_zero(self) -> bool:
        """Tell whether 0 belongs on its axis: of spreads, of what averaging gains, and of what begins at 0."""
        begins_at_zero = self.bounds is not None and self.bounds[0] == 0
        return self.statistic == "sd" or begins_at_zero or self.key.endswith("_delta")

    @property
    def error_field(self) -> str | None:
        """The field of its error; None where it has none."""
        return f"{self.key}_error" if self.error != "none" else None

    @property
    def interval_field(self) -> str | None:
        """The field of its interval; None where it has none."""
        return f"{self.key}_ci" if self.interval != "none" else None

    @property
    def fields(self) -> tuple[str, ...]:
        """All of its fields: the value's, then that of what stands beside it."""
        return (self.key, *(name for name in (self.error_field, self.interval_field) if name is not None))


_ERRORS: dict[ErrorKind, str] = {"none": "", "bootstrap": "±: its SD over bootstrap resamples of the replicas."}

_INTERVALS: dict[IntervalKind, str] = {
    "none": "",
    "mean": "[ ]: 95 %, Student's t over the replicas.",
    "sd": (
        "[ ]: 95 % of the SD over all replicas that could be trained, around the SD with R − 1, "
        "by chi-square with degrees of freedom from the kurtosis."
    ),
    "pairs": "[ ]: 95 %, from leaving out each replica in turn.",
    "true_sd": "[ ]: 95 %, that of the accuracy SD less the independent part.",
}


def describe_uncertainty(measure: Measure) -> str:
    """Say what stands beside the value of a measure; nothing where nothing does."""
    said = [_ERRORS[measure.error], _INTERVALS[measure.interval]]
    if measure.bounds is not None:
        said.append(f"It stays within {measure.bounds[0]:g} and {measure.bounds[1]:g}.")
    return " ".join(part for part in said if part)
