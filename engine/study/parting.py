"""Tells in which epoch replicas part, from the digests of their weights in epochs.jsonl: nothing is trained for it.

Of most arms the first line of every file is enough, because their replicas have parted by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engine.study.epochs import MAX_BYTES, MAX_LINE_BYTES, EpochRecord, read_epochs
from engine.study.paths import AttemptPaths, RunPaths, StudyPaths
from engine.study.run_state import read_result

Digests = tuple[str, ...]
"""Of a run's weights: before the first step, then at the end of every epoch."""

FIRST_BYTES = 2 * MAX_LINE_BYTES
"""What the first epochs of a file are read from."""


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """Names the two replicas of an arm whose weights part first."""

    replicas: tuple[int, int]
    """From 1."""
    epoch: int
    """The first epoch at whose end they differ; 0 where their initial weights do."""


@dataclass(frozen=True, kw_only=True)
class Partings:
    """Tells when the replicas of an arm part; replicas are counted from 1."""

    epochs: Mapping[int, int] = field(default_factory=dict[int, int])
    """Epoch → how many pairs have other weights at its end for the first time; 0 stands for the initial weights."""
    examples: Mapping[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """Epoch → the first of these pairs."""
    equal: int = 0
    """Pairs with equal weights at the end of all epochs that both have."""
    compared: int = 0
    """How many epochs that is, for the pair that has the most."""
    unknown: tuple[int, ...] = ()
    """Replicas whose files hold no digests: earlier versions wrote none, nor does a user's own program."""

    @property
    def first(self) -> Parting | None:
        """The two that part first; None where none do."""
        epoch = min(self.epochs, default=None)
        return None if epoch is None else Parting(replicas=self.examples[epoch], epoch=epoch)

    @property
    def parted(self) -> int:
        """The number of pairs that have parted."""
        return sum(self.epochs.values())


def find_first_difference(one: Digests, other: Digests) -> int | None:
    """Return the first epoch at whose end two runs have other weights, 0 for the initial ones; None for none."""
    return next((epoch for epoch, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)


def part_replicas(digests: Sequence[Digests]) -> Partings:
    """Tell when any two of some replicas part; one without digests is unknown.

    The replicas that have not parted yet are kept together, so that the work does not grow with the pairs.
    """
    epochs: dict[int, int] = {}
    examples: dict[int, tuple[int, int]] = {}
    equal = compared = 0
    together = [[number for number, known in enumerate(digests) if known]]
    epoch = 0
    while together:
        parts: list[list[int]] = []
        for group in together:
            found: dict[str | None, list[int]] = {}
            for number in group:
                known = digests[number]
                found.setdefault(known[epoch] if epoch < len(known) else None, []).append(number)
            ended = found.pop(None, [])
            rest = len(group) - len(ended)
            pairs = _count_pairs(len(ended)) + len(ended) * rest
            equal += pairs
            compared = max(compared, epoch - 1) if pairs else compared
            apart = _count_pairs(rest) - sum(_count_pairs(len(part)) for part in found.values())
            if apart:
                epochs[epoch] = epochs.get(epoch, 0) + apart
                first = sorted(part[0] for part in found.values())[:2]
                pair = (first[0] + 1, first[1] + 1)
                examples[epoch] = min(examples.get(epoch, pair), pair)
            parts += [part for part in found.values() if len(part) > 1]
        together, epoch = parts, epoch + 1
    unknown = tuple(number + 1 for number, known in enumerate(digests) if not known)
    return Partings(epochs=epochs, examples=examples, equal=equal, compared=compared, unknown=unknown)


def _count_pairs(members: int) -> int:
    return members * (members - 1) // 2


def read_partings(paths: StudyPaths, runs: Sequence[str]) -> Partings:
    """Read when the replicas of an arm part: of each run as few lines as are needed.

    Args:
        paths: The study.
        runs: The replicas in their order; one run that stands for several is equal to itself.
    """
    files = {run: _find_epochs(paths.run(run)) for run in dict.fromkeys(runs)}
    begun = {run: _read_digests(path, FIRST_BYTES) for run, path in files.items()}
    whole = begun | {run: _read_digests(files[run], MAX_BYTES) for run in _find_crowded(begun)}
    return part_replicas([whole[run] for run in runs])


def _find_crowded(digests: Mapping[str, Digests]) -> list[str]:
    """Return the runs that have not parted from all others in what was read of them."""
    shortest = min((len(known) for known in digests.values() if known), default=0)
    alike = Counter(known[:shortest] for known in digests.values() if known)
    return [run for run, known in digests.items() if known and alike[known[:shortest]] > 1]


def read_digests(run: RunPaths) -> Digests:
    """Read the digests of a run's weights; none where one is missing."""
    return _read_digests(_find_epochs(run), MAX_BYTES)


def _find_epochs(run: RunPaths) -> Path | None:
    """Find the epochs of a run's result, or of its latest attempt; None where it was never begun."""
    result = read_result(run)
    attempts = run.list_attempts()
    named = None if result is None else run.attempt(result.attempt)
    chosen: AttemptPaths | None = named or (attempts[-1] if attempts else None)
    return None if chosen is None else chosen.epochs


def _read_digests(path: Path | None, most: int) -> Digests:
    if path is None:
        return ()
    return collect_digests(read_epochs(path, most=most).records)


def collect_digests(records: Sequence[EpochRecord]) -> Digests:
    """Return the digests that some records of epochs hold, from the first one on; none where one is missing."""
    if not records or records[0].start is None:
        return ()
    found = [records[0].start]
    for epoch, record in enumerate(records, start=1):
        if record.epoch != epoch or record.weights is None:
            return ()
        found.append(record.weights)
    return tuple(found)
