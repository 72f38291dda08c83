"""The pairs of one arm, as a process answers them: against the definition, in an order that puts like beside like."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.metrics.pair_matrix import measure_pairs, sort_alike
from engine.study.pairs_record import ArmPairs
from engine.study.records import decode_record, encode_record
from tests.helpers.arrays_study import LOGITS, put, write_study_of_arrays
from tui.commands.pairs import find_pairs


def test_disagreement_of_every_pair_is_that_of_its_definition(tmp_path: Path) -> None:
    paths = write_study_of_arrays(tmp_path / "s")
    found = measure_pairs(paths, "Init")
    chosen = LOGITS[:4].argmax(axis=2)
    for i, j in itertools.product(range(4), repeat=2):
        assert found.disagreement[i][j] == pytest.approx(100 * np.mean(chosen[i] != chosen[j]))
    assert (found.replicas, found.runs, found.left_out) == ((1, 2, 3, 4), ("r0", "r1", "r2", "r3"), 0)
    assert decode_record(encode_record(found, compact=True), ArmPairs) == found
    assert find_pairs(paths, "Init") == found, "a process answers the same"


def test_damaged_replica_is_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    paths = write_study_of_arrays(tmp_path / "s")
    put(paths, "r1", LOGITS[1], predictions_sha256="0" * 64)
    assert measure_pairs(paths, "Init").replicas == (1, 3, 4)


def test_what_cannot_be_compared_says_why(tmp_path: Path) -> None:
    paths = write_study_of_arrays(tmp_path / "s")
    with pytest.raises(StudyError, match="no arm Unknown"):
        measure_pairs(paths, "Unknown")
    paths.run("c2").result.unlink()
    with pytest.raises(StudyError, match="two finished replicas"):
        find_pairs(paths, "Control")
    paths.labels.unlink()
    with pytest.raises(StudyError, match=r"labels\.npy"):
        measure_pairs(paths, "Init")


def test_like_stands_beside_like() -> None:
    """Points on a line, shuffled: their order is that of the line, from one end or the other."""
    line = np.array([3.0, 0.0, 4.5, 1.0, 9.0])
    order = sort_alike(np.abs(line[:, None] - line[None, :]))
    ordered = [float(line[place]) for place in order]
    assert ordered in (sorted(ordered), sorted(ordered, reverse=True))
    assert sort_alike(np.zeros((2, 2))) == [0, 1]


def test_usage_is_told() -> None:
    done = subprocess.run(command("engine.metrics"), capture_output=True, check=False)
    assert b"STUDY [ARM]" in done.stderr
