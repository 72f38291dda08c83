"""Hashes many seeds at once: the keys that numpy's `SeedSequence` derives for Philox, in one pass over all of them.

To make a sequence and a generator of each seed takes 12 µs, and a minibatch has a seed of its own.

Source: `numpy.random.SeedSequence`, whose results NEP 19 keeps as they are; after "Developing a seed_seq Alternative"
(Melissa O'Neill, 2015).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL = 4
"""Words of a sequence's pool."""

KEY_WORDS = 4
"""32-bit words of Philox's key."""

MASK = 0xFFFFFFFF
HASH, HASH_STEP = 0x43B0D7E5, 0x931E8875
OUT, OUT_STEP = 0x8B51F9DD, 0x58F38DED
LEFT, RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
HALF = np.uint32(16)


def derive_keys(entropy: Sequence[int], *last: np.ndarray) -> np.ndarray:
    """Return the keys of Philox generators that are seeded by `SeedSequence([*entropy, *those])`, uint64 (n, 2).

    Args:
        entropy: Whole numbers, not negative.
        last: What tells the seeds apart, whole numbers of 32 bits: at least one array, (n,) each.
    """
    words = [np.array([word], dtype=np.uint32) for number in entropy for word in _split(number)]
    words += [numbers.astype(np.uint32) for numbers in last]
    words += [np.zeros(1, dtype=np.uint32)] * (POOL - len(words))
    mangle = _Hash(HASH, HASH_STEP)
    pool = [mangle(word) for word in words[:POOL]]
    for source in range(POOL):
        for target in range(POOL):
            if source != target:
                pool[target] = _mix(pool[target], mangle(pool[source]))
    for word in words[POOL:]:
        pool = [_mix(value, mangle(word)) for value in pool]
    mangle = _Hash(OUT, OUT_STEP)
    key = np.empty((len(last[0]), KEY_WORDS), dtype="<u4")
    for number in range(KEY_WORDS):
        key[:, number] = mangle(pool[number % POOL])
    return key.view("<u8")


def _split(number: int) -> list[int]:
    """Return the 32-bit words of a whole number, the lowest first."""
    return [number >> shift & MASK for shift in range(0, max(1, number.bit_length()), 32)]


class _Hash:
    """Hashes words, each by a constant of its own: the former one times a factor."""

    def __init__(self, first: int, factor: int) -> None:
        self._constant, self._factor = first, factor

    def __call__(self, words: np.ndarray) -> np.ndarray:
        before, self._constant = self._constant, self._constant * self._factor & MASK
        hashed = (words ^ np.uint32(before)) * np.uint32(self._constant)
        return hashed ^ (hashed >> HALF)


def _mix(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    mixed = one * LEFT - other * RIGHT
    return mixed ^ (mixed >> HALF)
