"""Turns formulas into estimates: means, SDs, means over pairs, their uncertainty, and reasons for missing values."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np

from engine.catalog.measure_declaration import STATISTICS, Group, Measure
from engine.catalog.measures import MEASURES, list_fields
from engine.metrics.formulas import Formulas, Outputs, UndefinedError
from engine.metrics.intervals import mean_over_pairs, pairs_interval
from engine.metrics.spread import (
    FEWEST,
    bootstrap_sd_error,
    mean_interval,
    mean_of,
    sd_interval,
    standard_deviation,
)
from engine.study.estimate import NOTHING, Estimate, Interval

ALONE = "one replica alone: a spread needs at least two"
TWO = "two replicas: an interval over replicas needs at least three"
NOT_FINITE = "not finite"
NO_BOOTSTRAP = "metrics.bootstrap is 0"


@dataclass
class Measured:
    """The measures of one group over some replicas."""

    n: int
    """Replicas."""
    estimates: dict[str, Estimate]
    """The estimate of every measure of the group, by key."""
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """Field → why it is None."""


@dataclass(frozen=True)
class Resampling:
    """The settings of the bootstrap."""

    resamples: int
    """0 leaves its errors out."""
    seed: int


def measure_nothing(group: Group, n: int, reason: str) -> Measured:
    """Give one reason for every field of a group."""
    measures = MEASURES[group]
    return Measured(n, {measure.key: NOTHING for measure in measures}, dict.fromkeys(list_fields(measures), reason))


def measure_all(
    formulas: Formulas[Outputs, np.ndarray | Estimate], outputs: Outputs, n: int, resampling: Resampling
) -> Measured:
    """Compute every measure of a group.

    Args:
        formulas: The functions that compute the group's measures.
        outputs: What they are given.
        n: Replicas, 1 or more.
        resampling: The settings of the bootstrap over replicas.
    """
    found = Measured(n, {measure.key: NOTHING for measure in MEASURES[formulas.group]})
    ordered = sorted(MEASURES[formulas.group], key=lambda measure: STATISTICS.index(measure.statistic))
    of_each = [measure for measure in ordered if measure.statistic == "mean"]
    of_several = [measure for measure in ordered if measure.statistic != "mean"]
    for measure in of_each if n < 2 else [*of_each, *of_several]:
        # What a formula returns is not kept: of thousands of replicas a matrix over pairs is hundreds of megabytes.
        found.estimates[measure.key], reasons = _measure_one(measure, formulas.by_key[measure.key], outputs, resampling)
        found.reasons |= reasons
    if n < 2:
        found.reasons |= dict.fromkeys(list_fields(of_several), ALONE)
    return found


def measure_some(
    formulas: Formulas[Outputs, np.ndarray | Estimate],
    outputs: Outputs,
    n: int,
    resampling: Resampling,
    *,
    keys: Collection[str],
    reason: str,
) -> Measured:
    """Compute some of the measures of a group, with one reason for all others; see `measure_all`."""
    found = measure_nothing(formulas.group, n, reason)
    for measure in MEASURES[formulas.group]:
        if measure.key not in keys:
            continue
        for name in measure.fields:
            found.reasons.pop(name, None)
        if n < 2 and measure.statistic != "mean":
            found.reasons |= dict.fromkeys(measure.fields, ALONE)
            continue
        found.estimates[measure.key], reasons = _measure_one(measure, formulas.by_key[measure.key], outputs, resampling)
        found.reasons |= reasons
    return found


def _measure_one(
    measure: Measure,
    formula: Callable[[Outputs], np.ndarray | Estimate],
    outputs: Outputs,
    resampling: Resampling,
) -> tuple[Estimate, dict[str, str]]:
    """Return the estimate of a measure, and for each field of it that is missing the reason why."""
    try:
        figures = formula(outputs)
    except UndefinedError as error:
        return NOTHING, dict.fromkeys(measure.fields, str(error))
    if not isinstance(figures, Estimate):
        return _summarise(measure, figures, resampling)
    missing = figures.interval is None and measure.interval_field is not None
    return figures, {measure.interval_field or "": TWO} if missing else {}


def _summarise(measure: Measure, figures: np.ndarray, resampling: Resampling) -> tuple[Estimate, dict[str, str]]:
    """Return the estimate of a measure, and for each field of it that is missing the reason why."""
    reasons: dict[str, str] = {}
    error = interval = None
    if measure.statistic == "pairs":
        value = mean_over_pairs(figures)
    else:
        value = standard_deviation(figures) if measure.statistic == "sd" else mean_of(figures)
    if measure.error_field is not None:
        if resampling.resamples > 0:
            error = bootstrap_sd_error(figures, resamples=resampling.resamples, seed=resampling.seed)
        else:
            reasons[measure.error_field] = NO_BOOTSTRAP
    if measure.interval_field is not None:
        if len(figures) >= FEWEST:
            interval = _find_interval(measure, figures)
        else:
            reasons[measure.interval_field] = ALONE if len(figures) == 1 else TWO
    return Estimate(value, error, interval), reasons


def _find_interval(measure: Measure, figures: np.ndarray) -> Interval:
    """Return the interval of the kind that is declared, over three replicas or more."""
    if measure.interval == "pairs":
        low, high = pairs_interval(figures, measure.bounds)
    else:
        low, high = sd_interval(figures) if measure.interval == "sd" else mean_interval(figures)
    return float(low), float(high)


def keep_finite(group: Group, measured: Measured) -> Measured:
    """Return the measures without figures that are not finite, which JSON cannot hold, with reasons instead."""
    kept: dict[str, Estimate] = {}
    reasons = dict(measured.reasons)
    for measure in MEASURES[group]:
        found = measured.estimates[measure.key]
        value, error, interval = found.value, found.error, found.interval
        if value is not None and not math.isfinite(value):
            value, reasons[measure.key] = None, NOT_FINITE
        if measure.error_field is not None and error is not None and not math.isfinite(error):
            error, reasons[measure.error_field] = None, NOT_FINITE
        if measure.interval_field is not None and interval is not None and not all(map(math.isfinite, interval)):
            interval, reasons[measure.interval_field] = None, NOT_FINITE
        kept[measure.key] = Estimate(value, error, interval)
    return Measured(measured.n, kept, reasons)
