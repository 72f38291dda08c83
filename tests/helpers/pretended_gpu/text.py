"""Checks of language models on a pretended GPU: alone and in packs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from engine.catalog.presets import QRNN_ARGS
from engine.recipe import HASHED_MASKS, DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.text import Corpus, load_corpus
from engine.training.loop import train_runs
from engine.training.tasks import text
from tests.helpers.pretended_gpu.cases import Checks, digest, make_replicas
from tests.helpers.pretended_gpu.cuda import pretend_cuda
from tests.helpers.pretended_gpu.device import CUDA

SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "nt-asgd": {"optimizer": "nt-asgd", "epochs": 3},
    "bf16": {"precision": "bf16"},
}


def make_text_recipe(**train: Any) -> Recipe:
    """Of a small quasi-recurrent network, as it is planned for a GPU."""
    small = QRNN_ARGS | {"embedding": 8, "hidden": 12, "layers": 2}
    settings: dict[str, Any] = {
        "epochs": 2, "batch_size": 5, "lr": 5.0, "momentum": 0.0, "schedule": "constant", "warmup_epochs": 0.0,
        "clip_grad_norm": 0.25, "bptt": 20, "activation_reg": 2.0, "slowness_reg": 1.0,
    }  # fmt: skip
    return Recipe(
        data=DataRecipe(preset="pydoc"),
        model=ModelRecipe(preset="qrnn", args=tuple(sorted(small.items())), masks=HASHED_MASKS),
        train=TrainRecipe(**(settings | train)),
        seeds=Seeds(init=1, shuffle=1, stochastic=1),
        lowlevel="deterministic",
        device="cuda",
    )


def make_corpus() -> Corpus:
    """The beginnings of a corpus that needs no download."""
    whole = load_corpus("pydoc", Path())
    return replace(whole, train=whole.train[:400], valid=whole.valid[:120], test=whole.test[:120])


def check_text(**train: Any) -> None:
    """A language model trains alone, and in packs with the same bits whether or not they share batches."""
    recipe = make_text_recipe(**train)
    # Averaged SGD begins at once, and not after epochs without progress.
    with patch.object(text, "stagnates", lambda losses, loss: len(losses) >= 1), pretend_cuda():
        train_runs([recipe], make_corpus(), device=CUDA)[0]
        one, other = (
            digest(train_runs(make_replicas(recipe, shared=shared), make_corpus(), device=CUDA))
            for shared in (True, False)
        )
    assert one == other


TEXT: Checks = {name: partial(check_text, **train) for name, train in SETTINGS.items()}
