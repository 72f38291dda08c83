"""Sketches beside exact distances; a training that takes them keeps its bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.recipe import BitChange, Recipe
from engine.study.epochs import BUCKETS, EpochRecord
from engine.study.sketches import decode_sketches, measure_distances
from engine.training.loop import Outcome
from engine.training.sketching import Sketcher, is_weight

STEPS = 3
"""Of an epoch of the base recipe."""


def make_weights(seed: int) -> dict[str, torch.Tensor]:
    """Several sizes, smaller and larger than what is summed at once, and what is no weight."""
    generator = np.random.default_rng(seed)
    shapes = {"a": (5,), "b.weight": (300, 301), "c": (), "bn.running_mean": (7,)}
    made = {name: torch.from_numpy(np.asarray(generator.normal(size=shape))).float() for name, shape in shapes.items()}
    return made | {"bn.num_batches_tracked": torch.tensor(seed)}


def exact_distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    names = ("a", "b.weight", "c")
    return float(sum(((one[name].double() - other[name].double()) ** 2).sum() for name in names) ** 0.5)


def test_distance_of_sketches_estimates_that_of_weights() -> None:
    """The squares are unbiased with a relative SD of sqrt(2 / BUCKETS), so the mean of 60 is right within 4 SDs."""
    ratios: list[float] = []
    sketcher = Sketcher()
    for seed in range(1, 61):
        base, other = make_weights(seed), make_weights(-seed % 1000)
        apart = np.linalg.norm(sketcher.sketch(base) - sketcher.sketch(other))
        ratios.append(float(apart / exact_distance(base, other)) ** 2)
    sd = (2 / BUCKETS) ** 0.5
    assert np.mean(ratios) == pytest.approx(1, abs=4 * sd / 60**0.5)
    assert np.std(ratios) == pytest.approx(sd, rel=0.4)


def test_one_moved_weight_is_measured_exactly() -> None:
    base = make_weights(0)
    other = base | {"b.weight": base["b.weight"].clone()}
    other["b.weight"][7, 9] += 2**-20
    sketcher = Sketcher()
    apart = np.linalg.norm(sketcher.sketch(base) - sketcher.sketch(other))
    assert apart == pytest.approx(exact_distance(base, other), rel=1e-6)


def test_statistics_and_whole_numbers_are_no_weights() -> None:
    weights = make_weights(0)
    assert [name for name, tensor in weights.items() if is_weight(name, tensor)] == ["a", "b.weight", "c"]
    changed = weights | {"bn.running_mean": torch.ones(7), "bn.num_batches_tracked": torch.tensor(9)}
    assert np.array_equal(Sketcher().sketch(weights), Sketcher().sketch(changed))


def test_signs_are_the_same_in_every_process() -> None:
    found = Sketcher().sketch({"w": torch.arange(40, dtype=torch.float32)})
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([0x736B6574, 0])))
    signs = generator.integers(0, 2, 40, dtype=np.int8)
    expected = [sum((2 * int(signs[i]) - 1) * i for i in range(bucket, 40, BUCKETS)) for bucket in range(BUCKETS)]
    assert found.tolist() == expected


@pytest.mark.parametrize("samples", [1, 2, 8])
def test_sketches_are_taken_in_epochs_and_change_no_bit(
    base: Recipe, train: Callable[..., Outcome], samples: int
) -> None:
    records: list[EpochRecord] = []
    plain = train(base)
    outcome = train(base, on_epoch=records.append, sketches=samples)
    assert np.array_equal(plain.predictions, outcome.predictions)
    assert all(torch.equal(plain.state[name], tensor) for name, tensor in outcome.state.items())
    way = decode_sketches([record.sketches for record in records])
    assert way is not None
    steps = way.steps[-1] // base.train.epochs
    inside = {round(steps * k / samples) for k in range(1, samples)} - {0, steps}
    wanted = [0] + [epoch * steps + step for epoch in range(base.train.epochs) for step in sorted({*inside, steps})]
    assert way.steps.tolist() == wanted
    assert np.array_equal(way.sums[-1], Sketcher().sketch(outcome.state))


def test_distance_from_the_twin_begins_with_the_moved_weight(base: Recipe, train: Callable[..., Outcome]) -> None:
    ways = []
    for bit in (None, BitChange(seed=1, share=0.5)):
        records: list[EpochRecord] = []
        outcome = train(replace(base, bit=bit), on_epoch=records.append, sketches=1)
        ways.append(decode_sketches([record.sketches for record in records]))
    plain, moved = ways
    assert plain is not None
    assert moved is not None
    assert outcome.bit is not None
    _, distances = measure_distances(moved, plain)
    assert distances[0] * np.linalg.norm(plain.sums[0]) == pytest.approx(outcome.bit.change, rel=1e-6)


def test_a_run_without_sketches_has_none(base: Recipe, train: Callable[..., Outcome]) -> None:
    records: list[EpochRecord] = []
    train(base, on_epoch=records.append)
    assert [record.sketches for record in records] == [None] * base.train.epochs
