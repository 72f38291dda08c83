"""Runs that evaluate another run's weights otherwise: nothing is trained twice for another look at the test set."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import StudyError
from engine.recipe import Recipe
from engine.study.epochs import append_epoch, read_epochs
from engine.study.paths import AttemptPaths, RunPaths
from engine.study.records import find_record
from engine.study.run_records import ResultRecord
from engine.training.data.datasets import Dataset
from engine.training.evaluation import ImageEvaluation, evaluate
from engine.training.full_store import patiently
from engine.training.loop import Outcome
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.images import prepare
from engine.training.weights import read_weights

LOG = logging.getLogger(__name__)


def evaluate_twin(
    twin: RunPaths,
    attempt: AttemptPaths,
    recipe: Recipe,
    data: Dataset,
    *,
    device: torch.device,
    search_path: tuple[Path, ...],
) -> Outcome | None:
    """Return what a run leaves whose training has been done under another id.

    Args:
        twin: The run with the same training.
        attempt: Gets the twin's epochs.
        recipe: The recipe with the views under which the test set is to be seen.
        data: The recipe's.
        device: A device of the kind that the recipe names.
        search_path: Where a user's model is looked for.

    Returns:
        None where the twin's weights are not there: it failed, diverged, or kept none.
    """
    result = find_record(twin.result, ResultRecord)
    if result is None or result.diverged:
        return None
    try:
        state = read_weights(twin, result)
    except StudyError as error:
        LOG.warning("%s; trained anew here", error)
        return None
    evaluation = evaluate_weights(recipe, data, state, device=device, search_path=search_path)
    for other in twin.list_attempts():
        if other.number == result.attempt:
            for record in read_epochs(other.epochs).records:
                patiently(partial(append_epoch, attempt.epochs, record))
    LOG.info("evaluated the weights of run %s", twin.folder.name)
    return Outcome(
        predictions=evaluation.to_array(),
        state=state,
        epochs=result.epochs,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        test_perplexity=None,
        diverged=False,
        diverged_epoch=None,
        bit=result.bit,
        seconds=result.seconds,
    )


def evaluate_weights(
    recipe: Recipe, data: Dataset, weights: dict[str, Tensor], *, device: torch.device, search_path: tuple[Path, ...]
) -> ImageEvaluation:
    """Judge the test set under a recipe's views with weights that were trained under its twin without them."""
    set_kernels(recipe.lowlevel, recipe.train.precision)
    use_one_thread()
    data = data.to(device)
    task = prepare(replace(recipe, bit=None), data, device=device, search_path=search_path)
    task.model.load_state_dict(weights)
    return evaluate(task.model, data, recipe, recipe.evaluate, classify=task.network.classify)
