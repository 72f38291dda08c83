"""Trying a recipe out before a study is written: does it load and train, how large is it, how long does it take."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from engine.errors import DataError, ModelError, NondetError, PerturbationError
from engine.recipe import Recipe

from .batches import Batch, epoch_batches, steps_per_epoch
from .data import load_data
from .models import count_parameters
from .perturb import find_parameter
from .run import EVALUATION_BATCH, Stopped, Training, evaluate, prepare, train_epoch
from .seeding import set_kernels, use_one_thread

TIMED_S = 1.0
"""How long training steps are timed for."""

KERNEL_REPEATS = 20
"""Repetitions of one step among which free kernels have to differ once to count as a source."""


def answer_request() -> int:
    """Answer the request on standard input, in JSON, on standard output; what a user's code prints goes elsewhere."""
    request = json.load(sys.stdin)
    answers_to = os.dup(1)
    os.dup2(2, 1)
    with contextlib.redirect_stdout(sys.stderr):
        answers = [
            answer_recipe(
                Recipe.from_dict(content),
                root=Path(request["root"]),
                search_path=tuple(map(Path, request["search_path"])),
                timed=request["timed"],
            )
            for content in request["recipes"]
        ]
    with os.fdopen(answers_to, "w") as out:
        json.dump({"answers": answers}, out)
    return 0


def answer_recipe(recipe: Recipe, *, root: Path, search_path: tuple[Path, ...], timed: bool) -> dict[str, Any]:
    """Facts about a recipe, or the error that it would end in with the part that causes it."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        error = "torch finds no usable CUDA device"
        return {"part": "device", "error": error, "remedy": "check the driver, or use --devices cpu"}
    try:
        return probe(recipe, root=root, search_path=search_path, timed=timed)
    except DataError as error:
        return {
            "part": "data",
            "error": str(error),
            "remedy": "repair the data, or choose another data.preset or target",
        }
    except ModelError as error:
        return {"part": "model", "error": str(error), "remedy": "repair the function, or choose another model"}
    except PerturbationError as error:
        return {"part": "bit", "error": str(error), "remedy": 'use "first", or the full name of a parameter'}


def probe(recipe: Recipe, *, root: Path, search_path: tuple[Path, ...], timed: bool) -> dict[str, Any]:
    """Load the data, build the model, try a step; see `answer_recipe`.

    Raises:
        NondetError: Whatever training the recipe would raise at its start.
    """
    started = time.perf_counter()
    device = torch.device("cuda:0" if recipe.device == "cuda" else "cpu")
    set_kernels(recipe.lowlevel, recipe.train.precision)
    use_one_thread()
    data = load_data(recipe.data, root=root, search_path=search_path).to(device)
    seconds_load = time.perf_counter() - started
    training, _ = prepare(recipe, data, device=device, search_path=search_path)
    if recipe.bit is not None:
        find_parameter(training.model, recipe.bit.parameter)
    _try_step(training)
    return {
        "parameters": count_parameters(training.model),
        "train_examples": len(data.train_labels),
        "test_examples": len(data.test_labels),
        "input_shape": list(data.input_shape),
        "classes": data.classes,
        "stochastic": training.network.dropout_layers > 0,
        "seconds_per_epoch": time_epoch(training) if timed else None,
        "seconds_load": seconds_load,
        "memory_bytes": data.memory_bytes(),
        "lowlevel_empty": kernels_repeat(recipe, training) if recipe.lowlevel == "kernels" else None,
    }


def _try_step(training: Training) -> None:
    """One training step, whose failure is the model's fault and not the machine's."""
    recipe = training.recipe
    try:
        _train_steps(training, steps=1)
    except torch.OutOfMemoryError:
        raise
    except NondetError:
        raise
    except Exception as cause:  # a user's model may raise anything in training mode
        name = recipe.model.preset or recipe.model.target
        batch = f"a training step with batch_size = {recipe.train.batch_size}"
        raise ModelError(f"{name}: failed in {batch}: {type(cause).__name__}: {cause}") from cause


def _train_steps(training: Training, *, steps: int) -> None:
    """The first steps of the first epoch."""
    stops = iter([False] * steps)
    with contextlib.suppress(Stopped):
        train_epoch(replace(training, should_stop=lambda: next(stops, True)), 1)


def time_epoch(training: Training) -> float:
    """Seconds that an epoch and its evaluation take, from about a second of steps and one evaluated batch."""
    examples = len(training.data.train_labels)
    steps = steps_per_epoch(examples, training.recipe.train.batch_size)
    taken, started = 0, time.perf_counter()

    def stop() -> bool:
        nonlocal taken
        taken += 1
        return taken > 1 and time.perf_counter() - started > TIMED_S

    with contextlib.suppress(Stopped):
        train_epoch(replace(training, should_stop=stop), 1)
    _wait_for_device(training)
    seconds_per_step = (time.perf_counter() - started) / min(taken, steps)
    return seconds_per_step * steps + _time_evaluation(training)


def _time_evaluation(training: Training) -> float:
    data = training.data
    part = replace(
        data, test_inputs=data.test_inputs[:EVALUATION_BATCH], test_labels=data.test_labels[:EVALUATION_BATCH]
    )
    started = time.perf_counter()
    evaluate(training.model, part, training.recipe)
    return (time.perf_counter() - started) * len(data.test_labels) / len(part.test_labels)


def _wait_for_device(training: Training) -> None:
    if training.device.type == "cuda":
        torch.cuda.synchronize()


def kernels_repeat(recipe: Recipe, training: Training) -> bool:
    """Whether free kernels give the same gradients every time: then they are no source on this device.

    The same step from the same weights is repeated; its gradients are compared by digest.
    """
    set_kernels("kernels", recipe.train.precision)
    batch = next(epoch_batches(recipe, training.data, 1))
    training.model.eval()  # running statistics would make the second repetition another step
    return len({_hash_gradients(training, batch) for _ in range(KERNEL_REPEATS)}) == 1


def _hash_gradients(training: Training, batch: Batch) -> str:
    training.model.zero_grad(set_to_none=True)
    functional.cross_entropy(training.model(batch.inputs), batch.labels).backward()
    gradients = [parameter.grad for parameter in training.model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients]).float().cpu()
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()
