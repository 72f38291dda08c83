"""What a network does is counted as formulas say: arithmetic of its layers, and bytes of its operations."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.catalog.preset_work import PRESET_WORK
from engine.catalog.work import GPUS, Load, Work, estimate_s, find_gpu
from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.random.seeding import set_kernels
from engine.training.trials.work import Traffic, count_work, make_flop_counter
from engine.training.trials.workbench import Workbench

CPU = torch.device("cpu")


@pytest.fixture
def bench() -> Workbench:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (40, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (40,), generator=generator)
    data = Dataset(inputs[20:], labels[20:], inputs[:20], labels[:20], classes=10, mean=(0.5,) * 3, std=(0.25,) * 3)
    return Workbench(data, CPU)


def make_recipe(preset: str) -> Recipe:
    return Recipe(
        data=DataRecipe(preset="synthetic", augment="crop-flip"),
        model=ModelRecipe(preset=preset),
        train=TrainRecipe(epochs=500, batch_size=512),
        seeds=Seeds(init=1, shuffle=1, augment=1),
        lowlevel="deterministic",
        device="cpu",
    )


def count(preset: str, bench: Workbench) -> Work:
    work = count_work(make_recipe(preset), bench)
    assert work is not None
    return work


def list_flops(model: nn.Module) -> list[float]:
    """Of each convolution and linear layer for one image, in order: twice its multiplications."""
    found: list[float] = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        weights = sum(parameter.numel() for name, parameter in layer.named_parameters() if name == "weight")
        places = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        found.append(2.0 * weights * places)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    return found


@pytest.mark.parametrize("preset", ["linear", "hidden-fc", "hidden-conv", "resnet14", "shufflenetv2-50"])
def test_arithmetic_is_that_of_the_layers(preset: str, bench: Workbench) -> None:
    """A step is a forward pass, the gradient of every weight, and that of every input but the images."""
    model = bench.prepare_single(make_recipe(preset)).model.eval()
    forward = list_flops(model)
    work = count(preset, bench)
    assert work.test_flops == sum(forward)
    assert work.train_flops == 3 * sum(forward) - forward[0]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_both_gradients_of_a_convolution_are_as_much_as_itself(
    kind: type[nn.Conv2d | nn.ConvTranspose2d], groups: int
) -> None:
    """Each weight is multiplied once at each place of the output; of a transposed one, of the input."""
    layer = kind(4, 6, 3, stride=2, groups=groups)
    inputs = torch.zeros(5, 4, 8, 8, requires_grad=True)
    output = layer(inputs)
    places = (output if kind is nn.Conv2d else inputs)[0, 0].numel()
    with make_flop_counter() as flops:
        output.sum().backward()
    assert flops.get_total_flops() == 2 * (2 * layer.weight.numel() * places * len(inputs))


def test_bytes_of_an_operation_are_those_of_its_tensors() -> None:
    x, weight, ids = torch.zeros(2, 3, 8, 8), torch.zeros(5, 3, 3, 3), torch.arange(4)
    for work, numbers in (
        (lambda: x + x, 3 * x.numel()),
        (x.relu, 2 * x.numel()),
        (lambda: x.view(2, -1), 0),
        (lambda: x.transpose(1, 2), 0),
        (lambda: nn.functional.conv2d(x, weight, padding=1), x.numel() + weight.numel() + 2 * 5 * 64),
        (lambda: torch.zeros(1000, 6)[3:].index_select(0, ids), 6 * 1000 + 2 * 4 * 6 + 2 * 4),
    ):
        with Traffic() as traffic:
            work()
        assert traffic.total == 4 * numbers


def test_weights_are_the_steps_and_not_the_images(bench: Workbench) -> None:
    """A linear model's step reads its weights, writes gradients and momentum: several times its parameters."""
    work = count("hidden-fc", bench)
    assert 4 * 1_578_506 * 4 < work.step_bytes < 4 * 1_578_506 * 12
    assert work.train_bytes < 4 * 3072 * 25, "an image's part is of the size of an image"


def test_text_is_not_counted(bench: Workbench) -> None:
    assert count_work(make_recipe("linear"), replace(bench, data=object())) is None  # pyright: ignore[reportArgumentType]


def test_kernels_are_the_operations_that_touch_memory(bench: Workbench) -> None:
    """And the optimiser's many are one, as on a GPU."""
    linear, hidden = count("linear", bench), count("hidden-fc", bench)
    # A layer more: product and ReLU; back ReLU, two products, and the sum of the bias.
    assert hidden.step_kernels - linear.step_kernels == 6
    assert linear.step_kernels < 60
    assert linear.test_kernels < 1


def test_estimate_lies_between_overlap_and_none() -> None:
    h100 = find_gpu("NVIDIA H100 80GB HBM3")
    assert h100 is not None
    load = Load(flops=67e12 / 2, moved=3.35e12 * 0.8 * 2)
    estimate = estimate_s(load, h100, "fp32")
    assert (estimate.least, estimate.most) == (2.0, 3.0)
    assert estimate.middle == pytest.approx(6**0.5)
    assert estimate.times(2.0).most == 6.0
    launching = estimate_s(load.plus(Load(kernels=400_000), 10), h100, "fp32")
    assert (launching.least, launching.most) == (2.5, 13.0)


def test_epoch_adds_up_steps_and_images() -> None:
    work = Work(
        train_flops=3, train_bytes=5, step_bytes=7, test_flops=11, test_bytes=13, step_kernels=17, test_kernels=0.5
    )
    assert work.epoch(10, 2, 4) == Load(flops=3 * 10 + 11 * 2, moved=5 * 10 + 7 * 3 + 13 * 2, kernels=17 * 3 + 0.5 * 2)


@cache
def load_synthetic() -> Dataset:
    return load_data(DataRecipe(preset="synthetic", train_size=64), root=Path(), search_path=())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", ["hidden-fc", "resnet14"])
def test_catalog_states_what_is_counted(preset: str, precision: str) -> None:
    recipe, data = make_recipe(preset), load_synthetic()
    set_kernels("deterministic", precision)
    work = count_work(replace(recipe, train=replace(recipe.train, precision=precision)), Workbench(data, CPU))
    assert work is not None
    stated = PRESET_WORK[preset][precision]
    assert asdict(stated) == pytest.approx(asdict(work), rel=1e-3)


@pytest.mark.parametrize(
    ("text", "name"),
    [("H100", "H100"), ("rtx 4090", "RTX 4090"), ("NVIDIA GeForce RTX 4090", "RTX 4090"),
     ("Tesla V100-SXM2-32GB", "V100"), ("NVIDIA A100-SXM4-80GB", "A100"), ("NVIDIA H200", "H200"),
     ("NVIDIA H100 PCIe", "H100 PCIe"), ("NVIDIA H100 80GB HBM3", "H100"), ("Tesla V100-SXM2-16GB", "V100"),
     ("NVIDIA L40S", "L40S"), ("GTX 4090", None), ("", None)],
)  # fmt: skip
def test_cards_are_known_by_what_a_driver_calls_them(text: str, name: str | None) -> None:
    found = find_gpu(text)
    assert (None if found is None else found.name) == name


@pytest.mark.parametrize(
    "text",
    ["NVIDIA A100-PCIE-40GB", "NVIDIA A100-SXM4-40GB", "NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB MIG 1g.10gb",
     "NVIDIA H100 NVL", "NVIDIA H100 PCIe MIG 3g.40gb", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H200 NVL",
     "Tesla V100-PCIE-32GB", "Tesla V100S-PCIE-32GB", "NVIDIA L40", "NVIDIA L40S-12Q", "NVIDIA GH200 480GB",
     "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D"],
)  # fmt: skip
def test_smaller_card_does_not_pass_for_its_namesake(text: str) -> None:
    assert find_gpu(text) is None


def test_precision_that_a_card_lacks_is_not_made_up() -> None:
    v100, h100 = (next(gpu for gpu in GPUS if gpu.name == name) for name in ("V100", "H100"))
    assert not v100.computes("bf16")
    assert v100.reach("tf32") == v100.reach("fp32")
    assert h100.reach("bf16") > h100.reach("tf32") > h100.reach("fp32")
    assert all(gpu.reach("tf32") >= gpu.reach("fp32") for gpu in GPUS)
