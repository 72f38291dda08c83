"""CKA against its definition computed naively in float64, for the project's networks and for a user's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.recipe import Recipe
from engine.study.files import make_folder, write_bytes
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import write_spec
from engine.study.similarity_record import find_similarity
from engine.study.study_plan import MeasuringSettings
from engine.training import similarity
from engine.training.data.datasets import Dataset, load_data
from engine.training.loop import Outcome
from engine.training.models.builders import BUILDERS, ModelShape
from engine.training.similarity import (
    compare_pairs,
    find_layers,
    gram_vector,
    measure_similarity,
    read_activations,
)
from engine.training.tasks.images import prepare
from engine.training.weights import weights_bytes
from tests.helpers.records import make_arm, make_result
from tests.helpers.records import make_study as study_record

CIFAR = ModelShape(input_shape=(3, 32, 32), classes=10, width=0.125)
MNIST = ModelShape(input_shape=(1, 28, 28), classes=10, width=1.0)
LAYERS = {
    "linear": ["Logits"],
    "hidden-fc": ["fc1", "Logits"],
    "hidden-conv": ["Conv1", "Logits"],
    "resnet6": ["Conv1", "ResBlock1", "AvgPool", "Logits"],
    "resnet10": ["Conv1", "ResBlock1", "ResBlock2", "AvgPool", "Logits"],
    "resnet14": ["Conv1", "ResBlock1", "ResBlock2", "ResBlock3", "AvgPool", "Logits"],
    "resnet18": ["Conv1", "ResBlock1", "ResBlock2", "ResBlock3", "ResBlock4", "AvgPool", "Logits"],
    "shufflenetv2-50": ["Conv1", "Stage1", "Stage2", "Stage3", "Conv2", "AvgPool", "Logits"],
    "vgg11": [*(f"features.{i}" for i in (0, 4, 8, 11, 15, 18, 22, 25)), "AvgPool", "Logits"],
    "mnist-cnn": ["Conv1", "Conv2", "fc1", "Logits"],
}


def naive_cka(one: Tensor, other: Tensor) -> float:
    """‖YᵀX‖² / (‖XᵀX‖·‖YᵀY‖) of centred features, float64: Kornblith et al. (2019), section 3."""
    x, y = (features.double() - features.double().mean(0) for features in (one, other))
    cross = (y @ y.T * (x @ x.T)).sum()  # the same through n × n matrices, which stay small here
    return float(cross / ((x @ x.T).norm() * (y @ y.T).norm()))


def unbiased_hsic(k: Tensor, other: Tensor) -> float:
    """Song et al. (2012): the unbiased estimate from two kernel matrices, written out with their sums."""
    n, one = len(k), torch.ones(len(k), dtype=torch.float64)
    k, other = k - k.diag().diag(), other - other.diag().diag()
    sums = (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
    return float((k @ other).trace() + sums - 2 / (n - 2) * (one @ k @ other @ one)) / (n * (n - 3))


def debiased_cka(one: Tensor, other: Tensor) -> float:
    """The same ratio as CKA, of unbiased estimates, which do not depend on the features' means."""
    x, y = (features.double() - features.double()[0] for features in (one, other))
    k, m = x @ x.T, y @ y.T
    return unbiased_hsic(k, m) / (unbiased_hsic(k, k) * unbiased_hsic(m, m)) ** 0.5


def stack_grams(features: list[Tensor]) -> Tensor:
    return torch.stack([vector for vector in map(gram_vector, features) if vector is not None])


@pytest.mark.parametrize("name", LAYERS)
def test_every_preset_is_compared_where_the_paper_compares(name: str) -> None:
    shape = MNIST if name == "mnist-cnn" else CIFAR
    model = BUILDERS[name](shape).eval()
    assert [layer.name for layer in find_layers(model, torch.rand(2, *shape.input_shape))] == LAYERS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_all_pairs_equal_the_definition_in_float64(name: str, base: Recipe) -> None:
    examples = 60
    shape = MNIST if name == "mnist-cnn" else CIFAR
    images, labels = torch.rand(examples, *shape.input_shape), torch.zeros(examples, dtype=torch.int64)
    data = Dataset(images, labels, images, labels, classes=10)
    recipe = base
    models = [BUILDERS[name](shape).eval() for _ in range(3)]
    layers = find_layers(models[0], data.test_inputs[:2])
    found = []
    for model in models:
        own = find_layers(model, data.test_inputs[:2])
        found.append(read_activations(model, data, recipe, own, examples))
    for number in range(len(layers)):
        pairs = compare_pairs(stack_grams([activations[number] for activations in found]), examples)
        assert pairs.debiased is not None
        for i in range(3):
            for j in range(3):
                one, other = found[i][number], found[j][number]
                assert pairs.biased[i, j] == pytest.approx(naive_cka(one, other), abs=1e-5), layers[number].name
                assert pairs.debiased[i, j] == pytest.approx(debiased_cka(one, other), abs=1e-4), layers[number].name


def test_turned_and_scaled_features_are_the_same_features() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 9, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(9, 9, generator=generator))
    found = compare_pairs(stack_grams([features, 3 * features @ turn + 5]), 40)
    assert found.biased == pytest.approx(np.ones((2, 2)), abs=1e-5)
    assert found.debiased == pytest.approx(np.ones((2, 2)), abs=1e-5)


def test_unrelated_noise_is_alike_by_cka_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(100, 3000, generator=generator) + 2 for _ in range(3)]
    found = compare_pairs(stack_grams(noise), 100)
    assert found.biased[0, 1] > 0.9
    assert found.debiased is not None
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert abs(found.debiased[i, j]) < 0.05
        assert found.debiased[i, j] == pytest.approx(debiased_cka(noise[i], noise[j]), abs=1e-4)


def test_three_examples_have_no_unbiased_estimate() -> None:
    found = compare_pairs(stack_grams([torch.eye(3), torch.rand(3, 2)]), 3)
    assert found.biased[0, 1] > 0
    assert found.debiased is None


def test_constant_and_broken_features_have_no_similarity() -> None:
    assert gram_vector(torch.ones(5, 3)) is None
    assert gram_vector(torch.tensor([[1.0], [float("nan")], [2.0]])) is None


def test_products_in_blocks_are_whole_products(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.rand(4, 50) / 10
    monkeypatch.setattr(similarity, "PRODUCT_COLUMNS", 7)
    assert compare_pairs(vectors, 9).biased == pytest.approx((vectors @ vectors.T).numpy(), abs=1e-6)


def test_users_network_is_compared_child_by_child() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3)).eval()
    assert [layer.name for layer in find_layers(model, torch.rand(2, 3, 2, 2))] == ["1", "Logits"]


def make_study(folder: Path, recipes: list[Recipe], outcomes: list[Outcome], *, cka_examples: int = 50) -> StudyPaths:
    paths = StudyPaths(folder)
    for recipe, outcome in zip(recipes, outcomes, strict=True):
        run = paths.run(recipe.id)
        make_folder(run.folder)
        write_spec(run, recipe)
        write_bytes(run.model, weights_bytes(outcome.state))
        digest = hashlib.sha256(run.model.read_bytes()).hexdigest()
        write_record(run.result, make_result(run=recipe.id, diverged=outcome.diverged, weights_sha256=digest))
    ids = [recipe.id for recipe in recipes]
    wanted = MeasuringSettings(bootstrap=0, cka=True, cka_examples=cka_examples)
    arm = make_arm("Init", ids, vary=("init",))
    write_record(paths.plan, study_record([arm], data_root="/nonexistent", search_path=(), metrics=wanted))
    return paths


def test_study_is_compared_and_only_what_is_new_is_compared_again(
    base: Recipe, train: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [replace(base, seeds=replace(base.seeds, init=seed)) for seed in (1, 2, 3)]
    outcomes = [train(recipe) for recipe in recipes]
    paths = make_study(tmp_path / "s", recipes, outcomes)
    assert measure_similarity(paths) == 0
    content = json.loads(paths.cka.read_text())
    (arm,) = content["arms"]
    assert [layer["name"] for layer in arm["layers"]] == LAYERS["resnet6"]
    data = load_data(base.data, root=Path("/nonexistent"), search_path=())
    logits = [torch.from_numpy(outcome.predictions[:50]) for outcome in outcomes]
    expected = naive_cka(logits[0], logits[2])
    assert arm["layers"][-1]["cka"][0][2] == pytest.approx(expected, abs=1e-5)
    assert arm["layers"][-1]["debiased"][0][2] == pytest.approx(debiased_cka(logits[0], logits[2]), abs=1e-4)
    task = prepare(base, data, device=torch.device("cpu"), search_path=())
    assert len(find_layers(task.model.eval(), data.normalise(data.test_inputs[:2]))) == 4

    # An earlier version compared layers in one form alone.
    plain = json.loads(paths.cka.read_text())
    for layer in plain["arms"][0]["layers"]:
        del layer["debiased"]
    paths.cka.write_text(json.dumps(plain))
    assert find_similarity(paths.cka)[0].layers[0].debiased is None
    measure_similarity(paths)
    assert json.loads(paths.cka.read_text()) == content

    # Little memory: layer by layer, with the same values.
    monkeypatch.setattr(similarity, "GRAM_BYTES", 3 * 4 * 50 * 51 // 2)
    paths.cka.unlink()
    measure_similarity(paths)
    assert json.loads(paths.cka.read_text()) == content

    # Less than one layer's: the first replicas stand for all.
    monkeypatch.setattr(similarity, "GRAM_BYTES", 2 * 4 * 50 * 51 // 2)
    paths.cka.unlink()
    measure_similarity(paths)
    (arm,) = json.loads(paths.cka.read_text())["arms"]
    assert arm["layers"][0]["runs"] == [recipe.id for recipe in recipes[:2]]

    paths.run(recipes[1].id).model.write_bytes(b"torn")
    before = paths.cka.read_bytes()
    measure_similarity(paths)
    assert paths.cka.read_bytes() == before, "the same runs are not compared again"
    paths.run(recipes[0].id).model.unlink()
    measure_similarity(paths)
    assert json.loads(paths.cka.read_text())["arms"] == [], "a damaged file leaves the arm out, and says so in the log"
