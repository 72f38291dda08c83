"""Figures of logits, against those of a formula and of torch's own functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.training.data.datasets import Dataset
from engine.training.evaluation import judge, judge_stacked

EXAMPLES, CLASSES = 401, 7


def make_data() -> Dataset:
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, CLASSES, (EXAMPLES,), generator=generator)
    inputs = torch.zeros(EXAMPLES, 1)
    return Dataset(inputs, labels, inputs, labels, classes=CLASSES)


def make_logits(case: str) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(EXAMPLES, CLASSES, generator=generator)
    if case == "ties":
        logits = logits.round()
    if case == "zeros":
        logits.zero_()
    if case == "masked":
        logits[5, (make_data().test_labels[5] + 1) % CLASSES] = -math.inf
    if case == "no number":
        logits[7, 3] = math.nan
    if case == "as many ties":  # as there are examples without a largest logit
        logits[7, 3] = math.nan
        logits[8] = 0.0
        logits[8, make_data().test_labels[8]] = logits[8, (make_data().test_labels[8] - 1) % CLASSES] = 9.0
    if case == "infinite":
        logits[9, 2] = math.inf
    if case == "impossible":
        logits[11, make_data().test_labels[11]] = -math.inf
    return logits


@pytest.mark.parametrize(
    "case", ["usual", "ties", "zeros", "masked", "no number", "as many ties", "infinite", "impossible"]
)
def test_figures_are_those_of_the_formula(case: str) -> None:
    data, logits = make_data(), make_logits(case)
    values, labels = logits.double().numpy(), data.test_labels.numpy()
    wanted = values[range(EXAMPLES), labels]
    with np.errstate(invalid="ignore"):
        cross_entropy = float((np.logaddexp.reduce(values, axis=1) - wanted).mean())
    cross_entropy = math.nan if case == "infinite" else cross_entropy  # torch divides infinity by itself
    accuracy = 100.0 * int((values.argmax(1) == labels).sum()) / EXAMPLES
    for found in (judge(logits, data), *judge_stacked(torch.stack([logits, logits]), data)):
        assert found.accuracy == accuracy
        assert found.cross_entropy == pytest.approx(cross_entropy, rel=1e-13, nan_ok=True)
        assert found.is_finite is (case not in ("no number", "as many ties", "infinite"))
        assert torch.equal(found.logits.isnan(), logits.isnan())


def test_figures_of_a_run_alone_are_those_of_torch_to_the_last_digit() -> None:
    data, logits = make_data(), make_logits("usual")
    assert judge(logits, data).cross_entropy == float(
        torch.nn.functional.cross_entropy(logits.double(), data.test_labels)
    )
