"""Replicas whose distribution is known: figures, predictions, logits and grids, drawn for many studies at once.

Shapes: T studies, R replicas, N examples. Every function takes its generator, so that equal seeds give equal studies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

CHUNK_VALUES = 2**23


def cover(ends: tuple[np.ndarray, np.ndarray], truth: float) -> float:
    """Return the percentage of intervals that hold the truth."""
    low, high = ends
    # The truth of equal figures is met up to rounding.
    return 100.0 * float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)))


@dataclass(frozen=True)
class Figures:
    """One figure of each replica of many studies."""

    values: np.ndarray
    """float64 (T, R)."""
    mean: float
    """The mean over all replicas that there could be."""
    sd: float


@dataclass(frozen=True)
class Classifiers:
    """Replicas that are right or wrong on N examples; each has a quality, and each example its own difficulty.

    Replica r is right on example i with the chance logistic(ease + spread·z_i + quality·q_r), z and q standard normal:
    z_i the same for all replicas, q_r drawn for each, and the outcomes independent given these.
    """

    ease: float
    spread: float
    quality: float
    examples: int = 1000

    @property
    def chances(self) -> tuple[np.ndarray, np.ndarray]:
        """The chance of being right on each example by quality (N, Q), and the weights (Q,) of the qualities."""
        qualities, weights = np.polynomial.hermite_e.hermegauss(60)
        return special.expit(self._ease()[:, None] + self.quality * qualities), weights / weights.sum()

    def _ease(self) -> np.ndarray:
        return self.ease + self.spread * stats.norm.ppf((np.arange(self.examples) + 0.5) / self.examples)

    @property
    def disagreement(self) -> float:
        """The mean disagreement of two replicas, in percent."""
        chances, weights = self.chances
        right = chances @ weights
        return 100.0 * float(np.mean(2 * right * (1 - right)))

    @property
    def true_sd(self) -> float:
        """The SD of quality: what is left of the SD of accuracy without chance in the examples, in percent."""
        chances, weights = self.chances
        by_quality = chances.mean(axis=0) - chances[:, 0].mean()
        return 100.0 * float(np.sqrt(np.square(by_quality - by_quality @ weights) @ weights))

    def draw(self, rng: np.random.Generator, studies: int, replicas: int) -> list[np.ndarray]:
        """Draw outcomes, bool (T, R, N), in parts that fit into memory."""
        part = max(1, CHUNK_VALUES // (replicas * self.examples))
        return [self._draw(rng, min(part, studies - start), replicas) for start in range(0, studies, part)]

    def _draw(self, rng: np.random.Generator, studies: int, replicas: int) -> np.ndarray:
        qualities = self.quality * rng.standard_normal((studies, replicas, 1), dtype=np.float32)
        chances = special.expit(self._ease().astype(np.float32) + qualities)
        return rng.random(chances.shape, dtype=np.float32) < chances

    def draw_accuracies(self, rng: np.random.Generator, studies: int, replicas: int) -> Figures:
        """Draw test accuracies in percent."""
        values = 100.0 * np.concatenate([part.mean(axis=2) for part in self.draw(rng, studies, replicas)])
        chances, weights = self.chances
        by_chance = (chances * (1 - chances) @ weights).sum() / self.examples**2
        sd = 100.0 * float(np.sqrt((self.true_sd / 100.0) ** 2 + by_chance))
        return Figures(values, 100.0 * float(chances.mean(axis=0) @ weights), sd)

    def draw_disagreements(self, rng: np.random.Generator, studies: int, replicas: int) -> np.ndarray:
        """Draw the disagreements of all pairs in percent, float64 (T, R, R)."""
        return np.concatenate([count_disagreements(part) for part in self.draw(rng, studies, replicas)])


def count_disagreements(right: np.ndarray) -> np.ndarray:
    """Return the percentage of examples on which one of two replicas is right and the other wrong, (T, R, R)."""
    chosen = right.astype(np.float32)
    both = chosen @ chosen.transpose(0, 2, 1)
    own = np.diagonal(both, axis1=1, axis2=2)
    return 100.0 * (own[:, :, None] + own[:, None, :] - 2 * both).astype(np.float64) / right.shape[2]


USUAL = Classifiers(ease=4.0, spread=2.5, quality=0.15)
"""About 91 % right and 11 % disagreement, with an accuracy SD half of which is the examples' chance."""

HARD_TO_TELL = Classifiers(ease=4.0, spread=2.5, quality=0.0)
"""Replicas of one quality: all of their accuracy SD is chance."""

WORLDS: dict[str, Callable[[np.random.Generator, int, int], Figures]] = {
    "normal": lambda rng, studies, replicas: Figures(rng.normal(size=(studies, replicas)), 0.0, 1.0),
    "heavy tails": lambda rng, studies, replicas: Figures(
        rng.standard_t(5, size=(studies, replicas)), 0.0, (5 / 3) ** 0.5
    ),
    "skewed": lambda rng, studies, replicas: Figures(rng.gamma(4, size=(studies, replicas)), 4.0, 2.0),
    "hierarchical": USUAL.draw_accuracies,
    "SD of one example": lambda rng, studies, replicas: Figures(
        100.0 * rng.binomial(1000, 0.999, size=(studies, replicas)) / 1000, 99.9, 100.0 * (0.999 * 0.001 / 1000) ** 0.5
    ),
    "exponential": lambda rng, studies, replicas: Figures(rng.exponential(size=(studies, replicas)), 1.0, 1.0),
    "rare outliers": lambda rng, studies, replicas: Figures(
        rng.normal(size=(studies, replicas)) * np.where(rng.random((studies, replicas)) < 0.03, 10.0, 1.0),
        0.0,
        (0.97 + 0.03 * 100) ** 0.5,
    ),
}
"""Distributions of a figure. Heavy tails are Student's t with 5 degrees of freedom, skewed is gamma with shape 4,
hierarchical are accuracies of USUAL replicas; that of one example is of accuracies on 1,000 that miss one. For the last
two no interval over few replicas can hold: of rare outliers 3 in 100 replicas have 10 times the others' SD."""

HELD = ("normal", "heavy tails", "skewed", "hierarchical")
"""Those in which a nominal 95 % has to cover 93 to 97 %."""


@dataclass(frozen=True)
class Correlated:
    """Replicas whose logits are those of a common signal plus noise of their own, of a size of their own."""

    noise: float
    unevenness: float = 0.3
    values: int = 120

    def draw(self, rng: np.random.Generator, studies: int, replicas: int) -> np.ndarray:
        """Draw the ranks of logits, centred and of length 1, float32 (T, R, M)."""
        signal = stats.norm.ppf((np.arange(self.values) + 0.5) / self.values).astype(np.float32)
        sizes = self.noise * np.exp(self.unevenness * rng.standard_normal((studies, replicas, 1), dtype=np.float32))
        logits = signal + sizes * rng.standard_normal((studies, replicas, self.values), dtype=np.float32)
        ranks = logits.argsort(axis=2).argsort(axis=2).astype(np.float32) - (self.values - 1) / 2
        return ranks / np.sqrt(np.square(ranks).sum(axis=2, keepdims=True))

    def correlation(self, rng: np.random.Generator) -> float:
        """Return the mean rank correlation of two replicas, from 100,000 of them."""
        total, count = np.zeros(self.values), 0
        for _ in range(10):
            drawn = self.draw(rng, 1, 10_000)[0]
            total += drawn.sum(axis=0, dtype=np.float64)
            count += len(drawn)
        return float((np.square(total).sum() - count) / (count * (count - 1)))

    def draw_correlations(self, rng: np.random.Generator, studies: int, replicas: int) -> np.ndarray:
        """Draw the rank correlations of all pairs, float64 (T, R, R)."""
        ranks = self.draw(rng, studies, replicas)
        return (ranks @ ranks.transpose(0, 2, 1)).astype(np.float64)


def draw_grids(
    rng: np.random.Generator, studies: int, levels: tuple[int, int], truth: tuple[float, float, float], *, heavy: bool
) -> np.ndarray:
    """Draw figures on grids with known variance components, float64 (T, A, B); `heavy` for Student's t with 5."""

    def draw(*shape: int) -> np.ndarray:
        if heavy:
            return rng.standard_t(5, size=(studies, *shape)) / (5 / 3) ** 0.5
        return rng.normal(size=(studies, *shape))

    rows, columns = levels
    first, second, rest = np.sqrt(truth)
    return first * draw(rows, 1) + second * draw(1, columns) + rest * draw(rows, columns)
