"""Peak memory of a CIFAR-10-sized training, against a bare loop over the same images held as bytes."""

from __future__ import annotations

import os
import subprocess
import sys

from measurement import Measurement

BARE = """
import torch
from torch import nn
from torch.nn import functional
from engine.training.models.builders import BUILDERS, ModelShape
images = torch.randint(256, (60_000, 3, 32, 32), dtype=torch.uint8)
labels = torch.randint(10, (60_000,))
model = BUILDERS["resnet14"](ModelShape(input_shape=(3, 32, 32), classes=10, width=0.25))
optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for batch in torch.randperm(50_000).split(512):
    optimiser.zero_grad()
    functional.cross_entropy(model(images[batch].float() / 255), labels[batch]).backward()
    optimiser.step()
model.eval()
with torch.no_grad():
    for start in range(50_000, 60_000, 1000):
        model(images[start : start + 1000].float() / 255)
"""

TRAIN = """
from pathlib import Path
import torch
from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import load_data
from engine.training.allocator import keep_freed_memory
from engine.training.loop import train_runs
keep_freed_memory()
recipe = Recipe(
    data=DataRecipe(preset="synthetic", augment="crop-flip"),
    model=ModelRecipe(preset="resnet14", width=0.25),
    train=TrainRecipe(epochs=1, batch_size=512, warmup_epochs=0),
    seeds=Seeds(init=1, shuffle=1, augment=1, lowlevel=1), lowlevel="order", device="cpu",
)
data = load_data(recipe.data, root=Path("/nonexistent"), search_path=())
train_runs([recipe], data, device=torch.device("cpu"))[0]
"""

# Not getrusage: its maximum starts from that of the process that started this one.
REPORT = "\nprint(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"

BUDGET = 1.25


def peak_mb(program: str) -> float:
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", program + REPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout) * 1024 / 1e6


def measure() -> Measurement:
    bare, ours = peak_mb(BARE), peak_mb(TRAIN)
    text = (
        f"one epoch of 50,000 CIFAR-shaped images, resnet14 of width 1/4, batch 512: peak {ours:.0f} MB; "
        f"bare loop without augmentation {bare:.0f} MB: {ours / bare:.2f}x"
    )
    return Measurement(text, f"{BUDGET}x", ours / bare <= BUDGET)
