"""Values of torch's random operations, computed from uniform integers.

Integers come from a hash and are equal on every device; what functions such as the logarithm make of them may differ
between devices in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Words = Callable[[int], Tensor]
"""Gives uniform 24-bit integers of a draw's shape, int64; the number tells apart the words of one draw."""

BITS = 24
"""Random bits of a word."""

SHORT_BITS = {torch.float16: 11, torch.bfloat16: 8}
"""Bits of a type that holds fewer than a word, so that a uniform number never rounds up to 1."""

ALPHA = 1.7580993408473766
"""The negative limit of SELU, as in torch's own `alpha_dropout`."""


def uniform(words: Words, dtype: torch.dtype) -> Tensor:
    """Return uniform numbers in [0, 1) with as many bits as their type holds, at most 48."""
    if dtype == torch.float64:
        return _wide(words).double() * 2.0 ** (-2 * BITS)
    bits = SHORT_BITS.get(dtype, BITS)
    return ((words(0) >> (BITS - bits)).float() * 2.0**-bits).to(dtype)


def inner_uniform(words: Words) -> Tensor:
    """Return uniform numbers that are neither 0 nor 1, float64, for functions that are infinite there."""
    return (_wide(words).double() + 0.5) * 2.0 ** (-2 * BITS)


def normal(words: Words) -> Tensor:
    """Return standard normal numbers, float64."""
    return torch.special.ndtri(inner_uniform(words))


def exponential(words: Words) -> Tensor:
    """Return numbers of the exponential distribution with rate 1, float64."""
    return -torch.log(inner_uniform(words))


def geometric(words: Words, p: float) -> Tensor:
    """Return the number of trials up to the first success, float64."""
    if p >= 1.0:
        return torch.ones_like(inner_uniform(words))
    return torch.ceil(torch.log(inner_uniform(words)) / math.log1p(-p)).clamp(min=1.0)


def cauchy(words: Words) -> Tensor:
    """Return numbers of the standard Cauchy distribution, float64."""
    return torch.tan(math.pi * (inner_uniform(words) - 0.5))


def bernoulli(words: Words, p: float | Tensor) -> Tensor:
    """Return true with probability p, bool."""
    limit = (p.double() * 2**BITS).round() if isinstance(p, Tensor) else round(p * 2**BITS)
    return words(0) < limit


def integers(words: Words, low: int, high: int) -> Tensor:
    """Return uniform integers in low…high−1, int64; their shares differ by 2⁻⁴⁸ at most."""
    scaled = inner_uniform(words) * (high - low)
    return low + scaled.long().clamp(max=high - low - 1)


def choose(words: Words, weights: Tensor, count: int, *, replacement: bool) -> Tensor:
    """Return the indices of a draw from the last dimension of some weights, (…, count).

    Without replacement an exponential race decides, as in torch's own `multinomial`: `words` are of the weights' shape.
    With replacement `words` are of the result's shape.
    """
    if not replacement:
        return (weights.double() / exponential(words)).topk(count, dim=-1).indices
    sums = weights.double().cumsum(-1)
    found = torch.searchsorted(sums, inner_uniform(words) * sums[..., -1:], right=True)
    return found.clamp(max=weights.shape[-1] - 1)


def permute(words: Words) -> Tensor:
    """Return a permutation, int64, of as many numbers as there are words, (N,)."""
    return torch.argsort(_wide(words), stable=True)


def drop(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Return the factor by which dropout multiplies x."""
    return (keep / (1.0 - p)).to(x.dtype)


def drop_alpha(x: Tensor, keep: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Return the factor and the summand by which alpha dropout keeps mean and variance.

    Source: `_dropout_impl` in aten/src/ATen/native/Dropout.cpp of PyTorch.
    """
    kept = keep.to(x.dtype)
    scale = 1.0 / math.sqrt((ALPHA * ALPHA * p + 1.0) * (1.0 - p))
    return kept * scale, (kept - 1.0) * (ALPHA * scale) + ALPHA * scale * p


def _wide(words: Words) -> Tensor:
    return (words(0) << BITS) | words(1)
