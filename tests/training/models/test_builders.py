"""The presets at the published definitions: sizes, initialisation, groups."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine.catalog import presets
from engine.errors import ModelError
from engine.recipe import ModelRecipe
from engine.training.models.build import Network, build_network
from engine.training.models.builders import BUILDERS, ModelShape, ResNet, count_parameters, initialise_resnet
from engine.training.models.shufflenet import shuffle_channels
from engine.training.optimiser import is_slow, make_groups
from engine.training.random.seeding import initialised_under

CIFAR = (3, 32, 32)


def weight(model: nn.Module, name: str) -> torch.Tensor:
    return model.get_parameter(f"{name}.weight")


def build(
    name: str, *, shape: tuple[int, ...] = CIFAR, classes: int = 10, width: float = 1.0, seed: int = 1
) -> nn.Module:
    with initialised_under(seed):
        return BUILDERS[name](ModelShape(input_shape=shape, classes=classes, width=width))


@pytest.mark.parametrize(
    ("name", "width", "parameters"),
    [
        ("linear", 1.0, 30_730),
        ("hidden-fc", 1.0, 1_578_506),
        ("hidden-conv", 1.0, 168_714),
        ("resnet6", 1.0, 9_978),
        ("resnet10", 1.0, 42_682),
        ("resnet14", 1.0, 172_602),
        ("resnet18", 1.0, 11_001_034),
        ("shufflenetv2-50", 1.0, 352_042),
        ("vgg11", 1.0, 9_231_114),
        ("resnet14", 0.125, 2_936),
        ("resnet14", 0.25, 11_190),
        ("resnet14", 0.5, 43_682),
    ],
)
def test_parameter_counts_are_the_published_ones(name: str, width: float, parameters: int) -> None:
    assert count_parameters(build(name, width=width)) == parameters


def test_mnist_network_has_the_published_count_on_mnist() -> None:
    assert count_parameters(build("mnist-cnn", shape=(1, 28, 28))) == 1_199_882


def test_catalog_names_the_builders() -> None:
    assert set(presets.MODELS) == set(BUILDERS)


@pytest.mark.parametrize("name", list(presets.MODELS))
def test_catalog_has_the_facts_of_the_builders(name: str) -> None:
    facts = presets.MODELS[name]
    shape = (1, 28, 28) if name == "mnist-cnn" else CIFAR
    assert facts.parameters == count_parameters(build(name, shape=shape))
    model = build(name, shape=(3, 32, 32))
    assert facts.flat != any(isinstance(module, nn.Conv2d) for module in model.modules())
    assert facts.has_width == (count_parameters(build(name, shape=shape, width=0.5)) != facts.parameters)
    random = (nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    assert facts.stochastic == any(isinstance(module, random) for module in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BUILDERS))
@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), 10), ((3, 32, 32), 100), ((1, 28, 28), 3), ((2, 9, 7), 2)])
def test_input_shape_and_classes_come_from_the_data(name: str, shape: tuple[int, ...], classes: int) -> None:
    if name == "vgg11" and min(shape[1:]) < 32:
        with pytest.raises(ModelError, match="halves its images five times"):
            build(name, shape=shape, classes=classes)
        return
    model = build(name, shape=shape, classes=classes)
    assert model(torch.zeros(2, *shape)).shape == (2, classes)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(ModelError, match="mnist-cnn: 5x5 pixels"):
        build("mnist-cnn", shape=(1, 5, 5))


def test_shuffled_channels_interleave_the_halves() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffle_channels(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_batch_norms_of_vgg_train_at_the_full_rate_by_their_names() -> None:
    slow, fast = make_groups(build("vgg11").named_parameters(), 0.1)
    assert len(slow["params"]) == 17, "the biases of 8 convolutions, 8 batch norms and the head"
    assert len(fast["params"]) == 17


def network(preset: str, channels: int = 3, size: int = 64) -> Network:
    recipe, shape = ModelRecipe(preset=preset), (channels, size, size)
    example = torch.zeros(2, *shape)
    return build_network(recipe, input_shape=shape, classes=7, init_seed=1, search_path=(), example=example)


@pytest.mark.slow
def test_torchvisions_models_are_built_for_the_datas_classes() -> None:
    made = network("torchvision:mobilenet_v3_small")
    assert made.model.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert made.dropout_layers == 1
    again = network("torchvision:mobilenet_v3_small")
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), again.model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("preset", "channels", "size", "said"),
    [
        ("torchvision:resnet51", 3, 64, "resnet50"),
        ("torchvision:resnet18", 1, 64, "three channels"),
        ("torchvision:alexnet", 3, 8, "failed on an input of shape"),
        ("torchvision:fcn_resnet50", 3, 64, "no such classification model"),
    ],
)
def test_torchvision_model_that_does_not_fit_is_explained(preset: str, channels: int, size: int, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        network(preset, channels, size)


def test_residual_networks_start_with_identity_blocks_and_fan_out_convolutions() -> None:
    model = build("resnet14")
    assert isinstance(model, ResNet)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert float(module.weight.detach().unique()) == (0.0 if name.endswith(".bn2") else 1.0)
            assert float(module.bias.detach().unique()) == 0.0
    last = [module for module in model.modules() if isinstance(module, nn.Conv2d)][-1]
    expected = math.sqrt(2 / (last.out_channels * 9))
    assert float(last.weight.detach().std()) == pytest.approx(expected, rel=0.02)


def test_initialisation_visits_modules_in_the_order_of_their_names() -> None:
    model = build("resnet10", seed=5)
    generator = torch.random.get_rng_state()
    with initialised_under(5):
        again = BUILDERS["resnet10"](ModelShape(input_shape=CIFAR, classes=10, width=1.0))
        initialise_resnet(again)
    assert torch.equal(torch.random.get_rng_state(), generator), "building a model takes nothing from other streams"
    names = sorted(name for name, module in again.named_modules() if isinstance(module, nn.Conv2d))
    expected = BUILDERS["resnet10"](ModelShape(input_shape=CIFAR, classes=10, width=1.0))
    with initialised_under(5):
        BUILDERS["resnet10"](ModelShape(input_shape=CIFAR, classes=10, width=1.0))
        for name in names:
            nn.init.kaiming_normal_(weight(expected, name), mode="fan_out", nonlinearity="relu")
    for name in names:
        assert torch.equal(weight(again, name), weight(expected, name)), name
    assert not torch.equal(weight(model, names[0]), weight(again, names[0]))


def test_shortcut_takes_every_second_pixel_and_fills_channels_with_zeros() -> None:
    model = build("resnet10").eval()
    block = model.get_submodule("layers.1.0")
    x = torch.randn(2, 16, 32, 32)
    norm = block.get_submodule("downsample.1")
    shortcut = norm(x[:, :, ::2, ::2])
    y = block(x)  # the block's own path is scaled by zero at the start
    assert torch.equal(y[:, :16], shortcut.relu())
    assert torch.equal(y[:, 16:], torch.zeros(2, 16, 16, 16))


def test_groups_are_by_name_as_published() -> None:
    model = build("resnet10")
    slow, fast = make_groups(model.named_parameters(), 0.1)
    assert (slow["scale"], fast["scale"]) == (0.1, 1.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    slow_names = {names[id(parameter)] for parameter in slow["params"]}
    assert {"bn1.weight", "bn1.bias", "fc.bias", "layers.1.0.downsample.1.bias"} <= slow_names
    assert not {"conv1.weight", "fc.weight", "layers.1.0.downsample.1.weight"} & slow_names
    assert len(slow["params"]) + len(fast["params"]) == len(names)
    assert all(is_slow(name) for name in slow_names)


def test_groups_without_members_are_left_out() -> None:
    model = nn.Linear(3, 2, bias=False)
    assert [group["scale"] for group in make_groups(model.named_parameters(), 0.1)] == [1.0]
