"""Where replicas part, from digests alone: against every pair by itself, and from files read no farther than needed."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.study import parting
from engine.study.epochs import EpochRecord, append_epoch, format_epoch
from engine.study.files import make_folder
from engine.study.parting import (
    Digests,
    collect_digests,
    find_first_difference,
    part_replicas,
    read_digests,
    read_partings,
)
from engine.study.paths import StudyPaths


def record(epoch: int, weights: str | None, start: str | None = None) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, train_loss=0.5, test_accuracy=9.0, test_cross_entropy=1.0, lr=0.1, seconds=1.0, weights=weights,
        start=start,
    )  # fmt: skip


def make_records(digests: Digests) -> list[EpochRecord]:
    return [record(k, one, digests[0] if k == 1 else None) for k, one in enumerate(digests[1:], start=1)]


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=2, max_size=5).map(tuple), min_size=2, max_size=6))
def test_replicas_part_as_every_pair_by_itself(digests: list[Digests]) -> None:
    found = part_replicas(digests)
    pairs = {
        (i + 1, j + 1): find_first_difference(digests[i], digests[j]) for i, j in combinations(range(len(digests)), 2)
    }
    epochs = {epoch for epoch in pairs.values() if epoch is not None}
    assert found.epochs == {epoch: list(pairs.values()).count(epoch) for epoch in epochs}
    assert found.examples == {epoch: min(p for p, e in pairs.items() if e == epoch) for epoch in epochs}
    assert found.equal == list(pairs.values()).count(None)
    assert found.parted + found.equal == len(pairs)
    shared = [min(len(digests[i - 1]), len(digests[j - 1])) - 1 for (i, j), e in pairs.items() if e is None]
    assert found.compared == max(shared, default=0)


def test_replicas_without_digests_are_named() -> None:
    found = part_replicas([("a", "b"), (), ("a", "c")])
    assert (found.unknown, found.epochs, found.examples) == ((2,), {1: 1}, {1: (1, 3)})


def test_digests_are_whole_or_none() -> None:
    whole = make_records(("s", "a", "b"))
    assert collect_digests(whole) == ("s", "a", "b")
    assert collect_digests(whole[1:]) == ()
    assert collect_digests([whole[0], record(2, None)]) == ()
    assert collect_digests([record(1, "a")]) == ()
    assert collect_digests([]) == ()


def write_runs(folder: Path, digests: dict[str, Digests]) -> StudyPaths:
    paths = StudyPaths(folder)
    for run, known in digests.items():
        attempt = paths.run(run).attempt(1)
        make_folder(attempt.folder)
        for one in make_records(known):
            append_epoch(attempt.epochs, one)
    return paths


def test_files_are_read_no_farther_than_needed(tmp_path: Path) -> None:
    long = tuple("b" * 16 for _ in range(40))
    paths = write_runs(tmp_path, {"one": ("a", *long), "two": ("b", *long), "three": ("b", *long[:30], *("c",) * 9)})
    found = read_partings(paths, ["one", "two", "three"])
    assert (found.epochs, found.examples) == ({0: 2, 31: 1}, {0: (1, 2), 31: (2, 3)})
    # A line that is behind what has to be read is not looked at.
    with paths.run("one").attempt(1).epochs.open("ab") as file:
        file.write(format_epoch(record(41, None)))
    assert len(long) * len(format_epoch(record(1, "b" * 16))) > parting.FIRST_BYTES
    assert read_partings(paths, ["one", "two", "three"]) == found
    assert read_digests(paths.run("one")) == ()


def test_runs_that_were_never_begun_are_unknown(tmp_path: Path) -> None:
    paths = write_runs(tmp_path, {"one": ("a", "b")})
    assert read_partings(paths, ["one", "two"]).unknown == (2,)
