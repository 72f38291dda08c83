"""Peak memory of a CIFAR-10-sized training, against the interpreter with torch plus the data themselves."""

from __future__ import annotations

import os
import subprocess
import sys

from measurement import Measurement

IDLE = "import torch, torch.optim; torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()"

TRAIN = """
from dataclasses import replace
from pathlib import Path
import torch
from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data import load_data
from engine.training.run import train_run
recipe = Recipe(
    data=DataRecipe(preset="synthetic", augment="crop-flip"),
    model=ModelRecipe(preset="resnet14", width=0.25),
    train=TrainRecipe(epochs=1, batch_size=512, warmup_epochs=0),
    seeds=Seeds(init=1, shuffle=1, augment=1, lowlevel=1), lowlevel="order", device="cpu",
)
data = load_data(recipe.data, root=Path("/nonexistent"), search_path=())
train_run(recipe, data, device=torch.device("cpu"))
"""
# Not getrusage: its maximum starts from that of the process that started this one.
REPORT = "\nprint(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"

DATA_MB = 60_000 * (3 * 32 * 32 + 8) / 1e6
BUDGET = 2.0
"""Times the data: what a first float32 copy of all images alone would take four times over."""


def peak_mb(program: str) -> float:
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", program + REPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout) * 1024 / 1e6


def measure() -> Measurement:
    idle_mb, peak = peak_mb(IDLE), peak_mb(TRAIN)
    beyond = (peak - idle_mb) / DATA_MB
    text = (
        f"one epoch of 50,000 CIFAR-shaped images, resnet14 of width 1/4, batch 512: peak {peak:.0f} MB, of which "
        f"{idle_mb:.0f} MB are torch itself and {DATA_MB:.0f} MB the data: {beyond:.1f} times the data beyond torch"
    )
    return Measurement(text, f"{BUDGET:.0f} times the data", beyond <= BUDGET)
