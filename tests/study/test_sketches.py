"""Sketches as text: nothing is lost, what is damaged is no way, and distances are those of the sums."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.recipe import MOST_SKETCHES
from engine.study.epochs import BUCKETS, MAX_LINE_BYTES, EpochRecord, format_epoch
from engine.study.sketches import Path, decode_sketches, encode_sketches, measure_distances

sums = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(BUCKETS)), elements=st.floats(-1e300, 1e300))


@given(sums, st.integers(0, 10**9))
def test_text_holds_every_bit(values: np.ndarray, first: int) -> None:
    steps = [first + 3 * place for place in range(len(values))]
    half = len(values) // 2
    texts = [encode_sketches(steps[part], values[part]) for part in (slice(half), slice(half, None)) if steps[part]]
    way = decode_sketches(texts)
    assert way is not None
    assert way.steps.tolist() == steps
    assert way.sums.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [None],
        [""],
        ["no base64!"],
        [base64.b64encode(b"12345678").decode()],
        [encode_sketches([5], np.ones((1, BUCKETS))), None],
        [encode_sketches([5], np.ones((1, BUCKETS))), encode_sketches([5], np.ones((1, BUCKETS)))],
        [encode_sketches([-1], np.ones((1, BUCKETS)))],
    ],
)
def test_what_is_missing_or_damaged_is_no_way(texts: list[str | None]) -> None:
    assert decode_sketches(texts) is None


def test_not_a_number_as_step_is_no_way() -> None:
    row = np.full(1 + BUCKETS, np.nan)
    assert decode_sketches([base64.b64encode(row.tobytes()).decode()]) is None


def test_distances_are_relative_and_at_common_steps() -> None:
    generator = np.random.default_rng(1)
    one, other = generator.normal(size=(3, BUCKETS)), generator.normal(size=(4, BUCKETS))
    steps, distances = measure_distances(Path(np.array([0, 4, 9]), one), Path(np.array([0, 3, 4, 8]), other))
    assert steps.tolist() == [0, 4]
    for place, (mine, theirs) in enumerate(((0, 0), (1, 2))):
        apart = sum((a - b) ** 2 for a, b in zip(one[mine], other[theirs], strict=True)) ** 0.5
        assert distances[place] == pytest.approx(apart / sum(b**2 for b in other[theirs]) ** 0.5)


def test_the_longest_line_of_an_epoch_is_read() -> None:
    text = encode_sketches(range(MOST_SKETCHES + 1, 2 * MOST_SKETCHES + 1), np.full((MOST_SKETCHES, BUCKETS), -1e-300))
    record = EpochRecord(
        epoch=100_000,
        train_loss=-1.2345678901234567e-300,
        test_accuracy=12.345678901234567,
        test_cross_entropy=-1.2345678901234567e-300,
        test_perplexity=1.2345678901234567e300,
        lr=1.2345678901234567e-300,
        seconds=123456.78901234567,
        weights="f" * 16,
        start="f" * 16,
        sketches=text,
    )
    assert len(format_epoch(record)) <= MAX_LINE_BYTES
