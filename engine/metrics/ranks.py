"""Ranks of all logits of a replica among each other, ties at their average rank, as whole numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from queue import Empty, SimpleQueue

import numpy as np

from engine.metrics.logits import Logits
from engine.metrics.parallel import each_in_parallel

RANK_BYTES = 2**30
"""Ranks that are held at once."""

WORK_BYTES = 2**29
"""What sorting may take beside them, as long as that is enough for one replica."""

SORTED_BYTES = 8
"""What sorting takes for one number: its bits and its place."""

STEP_VALUES = 2**16
"""Numbers that one step looks at: what it needs for them fits the processor's second cache. Smaller steps make threads
wait for each other between them."""

UPPER, LOWER = (1, 0) if sys.byteorder == "little" else (0, 1)
"""Which half of a key holds a number's bits, and which its place."""

LARGEST_SINGLE = 2**30
"""Of fewer numbers, int32 holds twice the ranks, and 32 bits their places."""


def rank_replicas(logits: Logits, chosen: Iterable[int]) -> np.ndarray:
    """Return the ranks of some replicas' logits, int (number of replicas, N·C); see `double_ranks`."""
    chosen = list(chosen)
    values = logits.shape[1] * logits.shape[2]
    ranks = np.empty((len(chosen), values), dtype=choose_type(values))

    spaces: SimpleQueue[Workspace] = SimpleQueue()

    def rank(number: int) -> None:
        parts = (logits.read(chosen[number], rows).reshape(-1) for rows in logits.iterate_parts())
        try:
            space = spaces.get_nowait()
        except Empty:
            space = Workspace(values)
        double_ranks(parts, out=ranks[number], space=space)
        spaces.put(space)

    each_in_parallel(rank, range(len(chosen)), at_once=WORK_BYTES // (SORTED_BYTES * values))
    return ranks


def choose_type(count: int) -> np.dtype:
    """Return the type of whole numbers that holds twice the ranks of so many values."""
    return np.dtype(np.int32 if count < LARGEST_SINGLE else np.int64)


class Workspace:
    """Memory for the ranks of so many numbers, used again: fresh memory costs more time than sorting."""

    def __init__(self, count: int) -> None:
        """Make room; nothing is touched before it is needed."""
        self.keys = np.empty(count, dtype=np.uint64)
        self.numbers = np.empty(STEP_VALUES, dtype=np.float32)
        self.flips = np.empty(STEP_VALUES, dtype=np.int32)
        self.wide = np.empty(STEP_VALUES, dtype=np.uint64)
        self.places = np.arange(min(count, STEP_VALUES), dtype=np.uint32)


def double_ranks(parts: Iterable[np.ndarray], out: np.ndarray, space: Workspace | None = None) -> None:
    """Compute twice the ranks of some numbers less their mean: whole numbers of sum zero, also where ties share one.

    Args:
        parts: The numbers, one after the other: floats of one type, no NaN.
        out: int, as long as all of them; written to.
        space: For as many numbers; None reserves one.
    """
    ordered = _sort_numbers(parts, len(out), space)
    for start, end in _iterate_runs(ordered):
        values = ordered.take_values(start, end)
        places = np.arange(2 * start + 1 - len(out), 2 * end + 1 - len(out), 2, dtype=out.dtype)
        repeats = np.flatnonzero(values[1:] == values[:-1]) + 1
        if len(repeats):
            _average_ties(places, repeats)
        for piece in range(start, end, STEP_VALUES):
            stop = min(piece + STEP_VALUES, end)
            out[ordered.take_places(piece, stop)] = places[piece - start : stop - start]


class Ordered:
    """Numbers in the order of their size, with the places that they came from: each a 64-bit key of its bits and place.

    Keys sort several times as fast as argsort: the bits of a positive float32 order like integers, those of a negative
    one the other way round.
    """

    def __init__(self, parts: Iterable[np.ndarray], space: Workspace) -> None:
        """Sort float32 numbers, given one part after the other, as many as the workspace is for."""
        self.count = len(space.keys)
        self._space = space
        end = 0
        for step in (part[at : at + STEP_VALUES] for part in parts for at in range(0, len(part), STEP_VALUES)):
            start, end = end, end + len(step)
            self._fill(step, start)
        space.keys.sort()

    def _fill(self, step: np.ndarray, start: int) -> None:
        """Make the keys of some numbers whose first place is `start`."""
        space, count = self._space, len(step)
        numbers, flips, keys = space.numbers[:count], space.flips[:count], space.keys[start : start + count]
        np.add(step, np.float32(0.0), out=numbers)  # makes −0 equal to 0
        np.right_shift(numbers.view(np.int32), 31, out=flips)
        flips |= np.int32(-(2**31))
        halves = keys.view(np.uint32).reshape(-1, 2)
        np.bitwise_xor(flips.view(np.uint32), numbers.view(np.uint32), out=halves[:, UPPER])
        np.add(space.places[:count], np.uint32(start), out=halves[:, LOWER])

    def take_values(self, start: int, end: int) -> np.ndarray:
        """Return numbers of the same order as some of the sorted ones."""
        return self._space.keys[start:end] >> np.uint64(32)

    def take_places(self, start: int, end: int) -> np.ndarray:
        """Return the places that some of the sorted numbers came from, at most STEP_VALUES, until the next call."""
        places = self._space.wide[: end - start]
        np.bitwise_and(self._space.keys[start:end], np.uint64(0xFFFFFFFF), out=places)
        return places.view(np.int64)


class Argsorted:
    """The same for numbers that do not fit half a key."""

    def __init__(self, values: np.ndarray) -> None:
        """Sort the numbers."""
        self.count = len(values)
        self._places = np.argsort(values, kind="stable")
        self._values = values[self._places]

    def take_values(self, start: int, end: int) -> np.ndarray:
        """Return some of the sorted numbers."""
        return self._values[start:end]

    def take_places(self, start: int, end: int) -> np.ndarray:
        """Return the places that some of the sorted numbers came from."""
        return self._places[start:end]


def _sort_numbers(parts: Iterable[np.ndarray], count: int, space: Workspace | None) -> Ordered | Argsorted:
    """Sort numbers that are given one part after the other, all of one type."""
    parts = iter(parts)
    first = next(parts)
    if first.dtype != np.float32 or count >= LARGEST_SINGLE:
        return Argsorted(np.concatenate([first, *parts]))
    return Ordered(chain([first], parts), Workspace(count) if space is None else space)


def _iterate_runs(ordered: Ordered | Argsorted) -> Iterator[tuple[int, int]]:
    """Yield the ends of pieces of sorted numbers, about STEP_VALUES long, none of which parts equal numbers."""
    start = 0
    while start < ordered.count:
        end = min(start + STEP_VALUES, ordered.count)
        last = ordered.take_values(end - 1, end)
        ahead = 1  # nearly always the next number is another
        while end < ordered.count:
            others = np.flatnonzero(ordered.take_values(end, end + ahead) != last)
            if len(others):
                end += int(others[0])
                break
            end, ahead = min(end + ahead, ordered.count), STEP_VALUES
        yield start, end
        start = end


def _average_ties(places: np.ndarray, repeats: np.ndarray) -> None:
    """Replace each place by the middle of its run of equal values, of the sorted places a…b by (a+b)/2.

    Neighbouring places are 2 apart, so that the middle is a whole number. Only the places of ties are looked at.

    Args:
        places: int (M,), changed.
        repeats: Numbers of the places whose value is that of the place before, in order.
    """
    begins = np.diff(repeats, prepend=repeats[0] - 2) != 1
    if begins.all():  # nothing but pairs of equal values, as nearly always
        places[repeats - 1] += 1
        places[repeats] -= 1
        return
    firsts = repeats[begins] - 1
    counts = np.diff(np.append(np.flatnonzero(begins), len(repeats))) + 1
    within = np.arange(int(counts.sum()), dtype=np.intp) - np.repeat(np.cumsum(counts) - counts, counts)
    middles = places[firsts] + (counts - 1).astype(places.dtype)
    places[np.repeat(firsts, counts) + within] = np.repeat(middles, counts)
