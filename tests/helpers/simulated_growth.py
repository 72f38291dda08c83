"""Growing differences whose rate and exponent are known, and how often their intervals hold them.

Shapes: T studies, R replicas, S sizes, P steps. Every generator begins with the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from engine.metrics.growth import fit_rate
from engine.metrics.response import fit_exponent
from engine.study.divergence_record import GrowthPoint
from tests.helpers.simulated_replicas import cover

SEED = 20

SIZES = 10.0 ** np.arange(-6.0, 0.0)
"""What is done, (S,), as in protocols/small/instability.toml."""

EXPONENT = 0.1
"""Of the end in the size, mean over replicas."""

STEPS = 300
PER_STEP = 0.25
"""The logarithm of the factor by which a difference grows in a step: it doubles in 2.8."""

SMALLEST, LARGEST = 1e-7, 0.3
"""A difference's size at the first step, and what it comes to."""

Rates = tuple[float, float]
"""Percent of trials: with the simpler interval, and with ours."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Generator and shape → numbers with mean 0."""

NOISES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails": lambda rng, shape: rng.standard_t(5, shape),
    "skewed": lambda rng, shape: rng.gamma(4.0, size=shape) / 2.0 - 2.0,
}


@dataclass(frozen=True)
class MovedWeights:
    """Where moved weights end: log end = (a + slope·z_r) · log size + level·u_r + noise·e_rs, a the exponent."""

    noise: str
    """Of z, u and e; see `NOISES`."""
    slope: float
    level: float = 0.5

    def draw(self, rng: np.random.Generator, trials: int, replicas: int) -> np.ndarray:
        """Draw ends, (T, R, S)."""
        draw = NOISES[self.noise]
        slopes = EXPONENT + self.slope * draw(rng, (trials, replicas, 1))
        levels = self.level * draw(rng, (trials, replicas, 1))
        return np.exp(slopes * np.log(SIZES) + levels + 0.1 * draw(rng, (trials, replicas, len(SIZES))))


def cover_exponent(moved: MovedWeights, replicas: int, trials: int) -> Rates:
    """Cover the exponent: with one line through the points of all replicas, and with each replica's slope."""
    drawn = moved.draw(np.random.default_rng(SEED), trials, replicas)
    sizes = np.broadcast_to(SIZES, (replicas, len(SIZES)))
    simple, ours = np.empty((trials, 2)), np.empty((trials, 2))
    for number, study in enumerate(drawn):
        line = stats.linregress(np.log(sizes).ravel(), np.log(study).ravel())
        half = stats.t.ppf(0.975, study.size - 2) * line.stderr
        simple[number] = line.slope - half, line.slope + half
        found = fit_exponent(sizes, study).interval
        assert found is not None
        ours[number] = found
    return cover((simple[:, 0], simple[:, 1]), EXPONENT), cover((ours[:, 0], ours[:, 1]), EXPONENT)


@dataclass(frozen=True)
class Growing:
    """A difference that grows exponentially and then no more; neighbouring steps err alike."""

    noise: float
    """SD of the logarithm around its curve."""
    correlation: float
    """Of neighbouring steps."""
    softness: float = 1.0
    """Of the bend at the end: at 1 that of a logistic curve, below it one that begins earlier."""
    waits: bool = False
    """Whether it first waits, until what grows is larger than what does not."""

    def draw(self, rng: np.random.Generator, trials: int) -> np.ndarray:
        """Draw distances, (T, P)."""
        steps = np.arange(STEPS)
        grown = np.logaddexp(0.0, PER_STEP * steps - 4.0) if self.waits else PER_STEP * steps
        left = self.softness * (np.log(LARGEST / SMALLEST) - grown)
        curve = np.log(LARGEST) - np.logaddexp(0.0, left) / self.softness
        errors = rng.standard_normal((trials, STEPS))
        for step in range(1, STEPS):
            fresh = np.sqrt(1.0 - self.correlation**2) * errors[:, step]
            errors[:, step] = self.correlation * errors[:, step - 1] + fresh
        return np.exp(curve + self.noise * errors)


def cover_rate(world: Growing, trials: int) -> tuple[Rates, float]:
    """Cover the rate: with points that are taken as independent, and as it is. Also the mean of rate / true rate."""
    ends: list[tuple[float, float, float, float]] = []
    found: list[float] = []
    for distances in world.draw(np.random.default_rng(SEED), trials):
        points = [GrowthPoint(step=n, weights=float(d), relative=float(d)) for n, d in enumerate(distances)]
        rate = fit_rate(points, "weights")
        if rate is None:
            continue
        first, last = rate.steps
        line = stats.linregress(np.arange(first, last + 1), np.log(distances[first : last + 1]))
        half = stats.t.ppf(0.975, last - first - 1) * line.stderr
        ends.append((line.slope - half, line.slope + half, *rate.interval))
        found.append(rate.per_step / PER_STEP)
    both = np.array(ends)
    return (cover((both[:, 0], both[:, 1]), PER_STEP), cover((both[:, 2], both[:, 3]), PER_STEP)), float(np.mean(found))
