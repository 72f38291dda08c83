"""Which presets keep a run's bits in every slot of a pack, and in a pack of one, on this machine."""

from __future__ import annotations

from pathlib import Path

import torch
from measurement import Measurement

from engine.catalog.presets import QRNN_ARGS
from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset
from engine.training.data.text import load_corpus
from engine.training.models.builders import BUILDERS
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.trials.pack_validity import PackReport, check_pack
from engine.training.trials.workbench import Workbench

SIZE, BATCH_SIZE = 4, 16


def make_recipe(model: ModelRecipe, *, shared: bool, **train: float) -> Recipe:
    return Recipe(
        data=DataRecipe(preset="synthetic"),
        model=model,
        train=TrainRecipe(epochs=1, batch_size=BATCH_SIZE, **train),  # pyright: ignore[reportArgumentType]
        seeds=Seeds(init=1, shuffle=1, stochastic=1 if train else None, lowlevel=1),
        lowlevel="order",
        device="cpu",
        pack=PackRecipe(size=SIZE, shared_batch=shared),
    )


def make_images() -> Dataset:
    """CIFAR-shaped noise: what rounds how does not depend on what is in the pictures."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(80, 3, 32, 32, generator=generator)
    labels = torch.randint(0, 10, (80,), generator=generator)
    return Dataset(inputs[:64], labels[:64], inputs[64:], labels[64:], classes=10)


def check(preset: str, *, shared: bool) -> PackReport:
    if preset == "qrnn":
        small = QRNN_ARGS | {"embedding": 40, "hidden": 64, "layers": 2}
        recipe = make_recipe(ModelRecipe(preset="qrnn", args=tuple(sorted(small.items()))), shared=shared, bptt=20)
        return check_pack(recipe, Workbench(load_corpus("pydoc", Path()), torch.device("cpu")))
    recipe = make_recipe(ModelRecipe(preset=preset), shared=shared)
    return check_pack(recipe, Workbench(make_images(), torch.device("cpu")))


def measure() -> Measurement:
    set_kernels("order", "fp32")
    use_one_thread()
    lines, kept = [], True
    for preset in (*BUILDERS, "qrnn"):
        reports = [check(preset, shared=shared) for shared in (True, False)]
        kept &= all(report.slot_invariant for report in reports)
        words = [
            f"slots {'same' if r.slot_invariant else 'DIFFER'}, size {'same' if r.size_invariant else 'differs'}"
            for r in reports
        ]
        lines.append(f"\n    {preset:16} shared batches: {words[0]}; own batches: {words[1]}")
    text = f"bits of a run in packs of {SIZE}, in another slot or company, and against a pack of one:{''.join(lines)}"
    return Measurement(text, "the same in every slot", kept)
