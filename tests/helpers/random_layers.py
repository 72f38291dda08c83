"""Whether sources stay apart in networks with random layers: `python -m tests.helpers.random_layers` prints the table.

Everything is trained in float64 through the ordinary pipeline, and compared with the same training of another seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import KEYED_DRAWS, DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.batches import epoch_batches
from engine.training.data.datasets import Dataset
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.stacked.network import Pack
from engine.training.stacked.step import Stepper
from engine.training.tasks import images, stacked_images
from engine.training.tasks.images import ImageTask
from engine.training.vision import models

CPU = torch.device("cpu")

State = dict[str, Tensor]

WIDTH = 16


class Applied(nn.Module):
    """A layer that is a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) if self.training else x


class NoisyWeights(nn.Module):
    """A layer whose weights have noise, as many rows of them as a minibatch has examples."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.weight * (1 + torch.randn(self.weight.shape, dtype=x.dtype) / 2))


class Attention(nn.Module):
    """Four tokens of four features that look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.unflatten(1, (4, 4))
        return self.attention(tokens, tokens, tokens)[0].flatten(1)


class Recurrent(nn.Module):
    """The same as a sequence whose time comes first, with dropout between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 4, 2, dropout=0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.unflatten(1, (4, 4)).transpose(0, 1))[0].transpose(0, 1).flatten(1)


class Middle(nn.Module):
    """A linear layer, one of the layers below, and another linear layer."""

    def __init__(self, pixels: int, middle: nn.Module, classes: int) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(pixels, WIDTH), middle, nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(self.first(x.flatten(1))))


def drop_paths(x: Tensor) -> Tensor:
    """Drop whole examples as torchvision's StochasticDepth does."""
    noise = torch.empty([x.shape[0], 1], dtype=x.dtype, device=x.device)
    noise.bernoulli_(0.8)
    return x * noise.div_(0.8)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "nn.Dropout": lambda: nn.Dropout(0.4),
    "functional.dropout": lambda: Applied(lambda x: functional.dropout(x, 0.4)),
    "nn.AlphaDropout": lambda: nn.AlphaDropout(0.4),
    "nn.RReLU": nn.RReLU,
    "bernoulli_ in place": lambda: Applied(drop_paths),
    "torch.bernoulli": lambda: Applied(lambda x: x * torch.bernoulli(torch.full_like(x, 0.5))),
    "torch.randn_like": lambda: Applied(lambda x: x + 0.3 * torch.randn_like(x)),
    "one number for a batch": lambda: Applied(lambda x: x * torch.rand((), dtype=x.dtype)),
    "noise on weights": NoisyWeights,
    "functional.gumbel_softmax": lambda: Applied(functional.gumbel_softmax),
    "mixup by torch.randperm": lambda: Applied(lambda x: 0.7 * x + 0.3 * x[torch.randperm(len(x))]),
    "nn.MultiheadAttention": Attention,
    "nn.LSTM": Recurrent,
    "torch.poisson": lambda: Applied(lambda x: x * torch.poisson(x.detach().exp())),
}
"""Layers between two linear ones."""

ALONE = ("nn.LSTM", "torch.poisson")
"""Those that torch.func cannot stack."""

NETWORKS = ("squeezenet1_1", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny")
"""Of torchvision."""


def build_narrow_efficientnet(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build every kind of layer of efficientnet_b0 with a few channels: a user's function."""
    block = models.efficientnet.MBConvConfig
    blocks = [block(1, 3, 1, 8, 8, 1), block(6, 3, 2, 8, 12, 2), block(6, 5, 2, 12, 16, 2)]
    return models.EfficientNet(blocks, dropout=0.2, num_classes=classes, last_channel=32)


def build_narrow_convnext(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build every kind of layer of convnext_tiny with a few channels: a user's function."""
    block = models.convnext.CNBlockConfig
    blocks = [block(12, 24, 2), block(24, 48, 3), block(48, None, 2)]
    return models.ConvNeXt(blocks, stochastic_depth_prob=0.1, num_classes=classes)


NARROW = {"narrow efficientnet": build_narrow_efficientnet, "narrow convnext": build_narrow_convnext}
"""The last two of them, which take gigabytes, with fewer channels."""


def build(input_shape: tuple[int, ...], classes: int, layer: str) -> nn.Module:
    """Build a network around a layer: a user's function."""
    return Middle(3 * 32 * 32, LAYERS[layer](), classes)


@cache
def make_data(examples: int = 40) -> Dataset:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 4, (examples + 4,), generator=generator)
    inputs = torch.randn(examples + 4, 3, 32, 32, generator=generator, dtype=torch.float64)
    return Dataset(inputs[4:], labels[4:], inputs[:4], labels[:4], classes=4)


def make_recipe(name: str) -> Recipe:
    if name in LAYERS:
        target = f"{build.__module__}:build"
        model = ModelRecipe(target=target, args=(("layer", name),), draws=KEYED_DRAWS)
    elif name in NARROW:
        model = ModelRecipe(target=f"{build.__module__}:{NARROW[name].__name__}", draws=KEYED_DRAWS)
    else:
        model = ModelRecipe(preset=f"torchvision:{name}", draws=KEYED_DRAWS)
    size = 16 if name in LAYERS else 6
    return Recipe(
        data=DataRecipe(preset="synthetic"),
        model=model,
        train=TrainRecipe(epochs=1, batch_size=size, lr=0.05, warmup_epochs=0.0, schedule="constant"),
        seeds=Seeds(init=1, shuffle=1, stochastic=1, lowlevel=1),
        lowlevel="order",
        device="cpu",
    )


def make_single(data: Dataset) -> Dataset:
    """Return the data in single precision, as networks are built for it."""
    return replace(data, train_inputs=data.train_inputs.float(), test_inputs=data.test_inputs.float())


def reseed(recipe: Recipe, **seeds: int) -> Recipe:
    return replace(recipe, seeds=replace(recipe.seeds, **seeds))


def prepare(recipe: Recipe, data: Dataset) -> ImageTask:
    """Prepare a training in float64."""
    set_kernels("order", "fp32")
    use_one_thread()
    task = images.prepare(recipe, make_single(data), device=CPU)
    task.model.double()
    task.data = data
    return task


def train(recipe: Recipe, data: Dataset) -> tuple[State, State]:
    """Train an epoch; return the weights before and behind it."""
    task = prepare(recipe, data)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    task.train_epoch(1)
    return before, task.model.state_dict()


def train_pack(recipes: list[Recipe], data: Dataset) -> list[State]:
    """Train the same in one pack."""
    pack = PackRecipe(size=len(recipes), shared_batch=False)
    packed = [replace(recipe, pack=pack) for recipe in recipes]
    task = stacked_images.prepare(packed, make_single(data), device=CPU, search_path=())
    stacked = Pack([model.double() for model in task.models], task.recipe.train, pack, handles=[task.network.masks])
    task = replace(task, pack=stacked, stepper=Stepper(stacked, task.recipe.train, None), data=data)
    task.train_epoch(1)
    return [stacked.state_of(slot) for slot in range(len(recipes))]


def measure_distance(before: State, one: State, other: State) -> float:
    """Return the distance between two ends relative to how far the first is from the beginning."""
    names = [name for name, value in before.items() if value.is_floating_point()]
    apart = sum(float((one[name] - other[name]).square().sum()) for name in names)
    moved = sum(float((one[name] - before[name]).square().sum()) for name in names)
    return (apart / moved) ** 0.5


def draw_by_example(recipe: Recipe, data: Dataset) -> dict[tuple[int, int], Tensor]:
    """Return what each example draws in an epoch, by the example and the number of the draw."""
    task = prepare(recipe, data)
    task.key_masks(1)
    found: dict[tuple[int, int], Tensor] = {}
    for step, batch in enumerate(epoch_batches(recipe, data, 1)):
        task.network.masks.log = log = []
        with torch.no_grad():
            task.classify(batch, step)
        for number, draw in enumerate(log):
            if draw.by_example:
                found |= {(int(example), number): draw.integers[row] for row, example in enumerate(batch.examples)}
    return found


def measure(name: str, data: Dataset) -> dict[str, float]:
    """Return the distances of one training from others: by what differs."""
    recipe = make_recipe(name)
    before, usual = train(recipe, data)
    others = {source: train(reseed(recipe, **{source: 2}), data)[1] for source in ("lowlevel", "stochastic")}
    distances = {source: measure_distance(before, usual, end) for source, end in others.items()}
    if name in ALONE:
        return distances
    other = reseed(recipe, lowlevel=2)
    first, second = train_pack([recipe, other], data)
    in_pack = measure_distance(before, first, second)
    alone = max(measure_distance(before, usual, first), measure_distance(before, others["lowlevel"], second))
    return distances | {"lowlevel, packed": in_pack, "pack": alone}


def main() -> None:
    data = make_data(12)
    titles = ("network", "`lowlevel`", "`lowlevel`, packed", "packed against alone", "`stochastic`")
    sys.stdout.write(f"| {' | '.join(titles)} |\n|---|---:|---:|---:|---:|\n")
    for name in (*LAYERS, *NETWORKS):
        found = measure(name, make_data() if name in LAYERS else data)
        figures = [found.get(key) for key in ("lowlevel", "lowlevel, packed", "pack", "stochastic")]
        cells = ["–" if figure is None else f"{figure:.{0 if figure < 0.01 else 1}g}" for figure in figures]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
