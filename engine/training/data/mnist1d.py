"""The data set MNIST-1D: signals of 40 numbers that are drawn from ten templates, as its published generator does.

Written anew, because the package brings an HTTP client and a plotting library along, seeds numpy for the whole process
and takes twenty times as long. Templates, constants and the order of the draws are those of the package mnist1d 0.0.2
(Apache License 2.0, https://github.com/greydanus/mnist1d), so that seed 42 gives the published examples.

Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from engine.training.random.seeding import legacy_generator

PUBLISHED_SEED = 42
BLOCK = 5000
"""Examples that one seed gives, each class 500 times; of the published ones the last 1,000 are for testing."""

TRAINING = 4000
LENGTH = 40
"""Numbers of an example."""

TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
"""One signal for each digit."""

LEAST_PADDING, MOST_PADDING = 36, 60
WIDE = len(TEMPLATES[0]) + MOST_PADDING
"""Numbers of a signal before it is thinned out."""

SCALE, SHEAR = 0.4, 0.75
MOST_SHIFT = 48
SMOOTH_NOISE, NOISE = 0.25, 2e-2
SMOOTHING = 2.0
"""SD of the Gaussian filter, in numbers of a wide signal."""

SMOOTHING_REACH = 8
"""It is cut off at 4 SDs."""


@dataclass(frozen=True)
class Signals:
    """Examples with their classes."""

    inputs: np.ndarray
    """float64 (N, LENGTH)."""
    labels: np.ndarray
    """int64 (N,)."""


def make_examples(test_size: int) -> tuple[Signals, Signals]:
    """Return the published training examples, and as many test examples of the same distribution as are wanted.

    The test examples are first the published ones, then those of the same generator under the seeds 43, 44, …: a
    smaller test set is the beginning of a larger one. All are centred and scaled as the published 5,000 are.
    """
    published = draw_signals(PUBLISHED_SEED)
    mean, deviation = published.inputs.mean(), published.inputs.std()
    more = range(-(-max(0, test_size - (BLOCK - TRAINING)) // BLOCK))
    blocks = [published, *(draw_signals(PUBLISHED_SEED + 1 + number) for number in more)]
    inputs = np.concatenate([(block.inputs - mean) / deviation for block in blocks])
    labels = np.concatenate([block.labels for block in blocks])
    test = slice(TRAINING, TRAINING + test_size)
    return Signals(inputs[:TRAINING], labels[:TRAINING]), Signals(inputs[test], labels[test])


def draw_signals(seed: int) -> Signals:
    """Draw what one seed gives, in the published order, before it is centred and scaled."""
    generator = legacy_generator(seed)
    labels = np.repeat(np.arange(len(TEMPLATES)), BLOCK // len(TEMPLATES))
    padding, shift = np.empty(BLOCK, dtype=np.int64), np.empty(BLOCK, dtype=np.int64)
    scale, shear = np.empty(BLOCK), np.empty(BLOCK)
    noise = np.empty((BLOCK, 2, WIDE))
    for example in range(BLOCK):  # one stream for everything, used up in this order
        padding[example] = int(generator.random_sample() * (MOST_PADDING - LEAST_PADDING + 1))
        scale[example] = generator.random_sample()
        shift[example] = generator.randint(MOST_SHIFT)
        noise[example] = generator.standard_normal((2, WIDE))
        shear[example] = generator.random_sample()
    signals = _stretch_templates()[labels, padding] * (1 + SCALE * (scale - 0.5))[:, None]
    signals = np.take_along_axis(signals, (np.arange(WIDE) - shift[:, None]) % WIDE, axis=1)
    correlated = smooth(SMOOTH_NOISE * noise[:, 0])
    inside = signals != 0
    signals = inside * signals + (1 - inside) * correlated + NOISE * noise[:, 1]
    signals -= (SHEAR * (shear - 0.5))[:, None] * np.linspace(-0.5, 0.5, WIDE)
    order = generator.permutation(BLOCK)
    return Signals(_resample(signals, LENGTH)[order], labels[order])


def _stretch_templates() -> np.ndarray:
    """Return every template with every number of zeros behind it, stretched to one length, (10, paddings, WIDE)."""
    templates = np.array(TEMPLATES)
    templates -= templates.mean(1, keepdims=True)
    templates /= templates.std(1, keepdims=True)
    templates -= templates[:, :1]
    # The small number keeps a template's own zeros apart from those behind it, which are filled with noise.
    raised = templates / 6.0 + 1e-8
    paddings = range(LEAST_PADDING, MOST_PADDING + 1)
    return np.stack([_resample(np.pad(raised, ((0, 0), (0, zeros))), WIDE) for zeros in paddings], axis=1)


def _resample(signals: np.ndarray, length: int) -> np.ndarray:
    """Return signals (N, …) with another number of values, by linear interpolation."""
    places, known = np.linspace(0, 1, length), np.linspace(0, 1, signals.shape[1])
    return np.stack([np.interp(places, known, signal) for signal in signals])


def smooth(signals: np.ndarray) -> np.ndarray:
    """Return signals under a Gaussian filter that sees them mirrored at their ends.

    What scipy.ndimage.gaussian_filter1d computes, which takes half a second to import.
    """
    reach = SMOOTHING_REACH
    weights = np.exp(-0.5 / SMOOTHING**2 * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    padded = np.pad(signals, ((0, 0), (reach, reach)), mode="symmetric")
    moved = sliding_window_view(padded, signals.shape[1], axis=1)
    total = moved[:, reach] * weights[reach]
    for place in range(reach):  # from the ends inwards, as scipy adds them up
        total += (moved[:, place] + moved[:, 2 * reach - place]) * weights[place]
    return total
