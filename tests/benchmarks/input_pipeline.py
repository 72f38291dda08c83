"""Crop, flip and normalise a CIFAR-shaped epoch: ours in one thread against a DataLoader with two workers and PIL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from measurement import Measurement, best_s
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from engine.catalog.presets import CIFAR_MEAN, CIFAR_STD
from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training import vision  # noqa: F401 - lets torchvision be imported beside a CPU build of torch
from engine.training.data.batches import epoch_batches
from engine.training.data.datasets import Dataset, load_data

BATCH_SIZE = 512
BASELINE_IMAGES = 10_000
BUDGET = 15

RECIPE = Recipe(
    data=DataRecipe(preset="synthetic", augment="crop-flip"),
    model=ModelRecipe(preset="linear"),
    train=TrainRecipe(epochs=1, batch_size=BATCH_SIZE),
    seeds=Seeds(init=1, shuffle=1, augment=1, lowlevel=1),
    lowlevel="order",
    device="cpu",
)


class PilImages(TorchDataset[tuple[torch.Tensor, int]]):
    """torchvision's CIFAR10 with the published transforms, without its file reading."""

    def __init__(self, data: Dataset) -> None:
        from torchvision import transforms  # noqa: PLC0415 - only behind the schemas above

        self.images = data.train_inputs[:BASELINE_IMAGES].permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = data.train_labels.tolist()
        steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        self.transform: Any = transforms.Compose([*steps, transforms.Normalize(CIFAR_MEAN, CIFAR_STD)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def measure() -> Measurement:
    torch.set_num_threads(1)
    data = load_data(RECIPE.data, root=Path("/nonexistent"), search_path=())
    # Workers that stay alive: starting them anew every epoch, as the default does, is not counted against it.
    loader = DataLoader(PilImages(data), batch_size=BATCH_SIZE, shuffle=True, num_workers=2, persistent_workers=True)
    list(loader)

    def baseline() -> None:
        for _ in loader:
            pass

    def ours() -> None:
        for _ in epoch_batches(RECIPE, data, 1):
            pass

    theirs = BASELINE_IMAGES / best_s(baseline, 3)
    own = len(data.train_labels) / best_s(ours, 5)
    text = f"{own:,.0f} images/s in one thread; DataLoader, 2 workers, PIL: {theirs:,.0f} images/s: {own / theirs:.1f}x"
    return Measurement(text, f"{BUDGET}x", own / theirs >= BUDGET)
