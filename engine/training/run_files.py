"""A claimed run: what is read before it is trained, and what is written once it is."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.dispatch.devices import name_processor
from engine.recipe import DataRecipe, Recipe
from engine.study.files import write_bytes
from engine.study.opening import read_regular
from engine.study.paths import LABELS_MAX_BYTES, AttemptPaths, RunPaths, StudyPaths
from engine.study.processes import current_owner
from engine.study.records import encode_record
from engine.study.run_records import AttemptRecord, ResultRecord, Versions, tell_time
from engine.study.run_state import count_tries
from engine.study.study_plan import StudyPlan
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.fencing import write_run
from engine.training.full_store import patiently
from engine.training.loop import Outcome
from engine.training.scheduler import name_job
from engine.training.tasks.preparation import load
from engine.training.weights import array_bytes, weights_bytes

NUMERIC_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that change how numbers are computed."""

Datasets = dict[DataRecipe, Dataset | Corpus]
"""The set of the last run, kept for the next."""


@dataclass(frozen=True)
class Claimed:
    """One run that this process trains now."""

    study: StudyPaths
    plan: StudyPlan
    run_id: str
    attempt: AttemptPaths

    @property
    def run(self) -> RunPaths:
        return self.study.run(self.run_id)

    def count_retries(self, session: str) -> int:
        """Return how often a session had tried the run before it was claimed."""
        return count_tries(self.run.list_attempts(), session) - 1


def describe_attempt(session: str, slot: str) -> AttemptRecord:
    """Return who trains, where, and with what: everything that may be the reason of a difference."""
    cuda = torch.cuda.is_available()
    return AttemptRecord(
        owner=current_owner(),
        session=session,
        slot=slot,
        started=tell_time(),
        device=torch.cuda.get_device_name(0) if cuda else name_processor(),
        versions=Versions(
            python=platform.python_version(),
            torch=str(torch.__version__),
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version() if cuda else None,
            numpy=np.__version__,
        ),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        environment={name: os.environ.get(name) for name in NUMERIC_VARIABLES},
        job=name_job(),
    )


def load_once(recipe: Recipe, claimed: Claimed, datasets: Datasets) -> Dataset | Corpus:
    """Load a run's data, or return it from `datasets`, which keeps only the data that was loaded last."""
    if recipe.data not in datasets:
        datasets.clear()
        root = Path(claimed.plan.data_root)
        datasets[recipe.data] = load(recipe.data, root=root, search_path=claimed.plan.search_folders)
    return datasets[recipe.data]


def write_labels(paths: StudyPaths, data: Dataset | Corpus) -> None:
    """Write the test labels, unless they are there: data that changed leave other labels than earlier data did."""
    content = labels_bytes(data)
    try:
        known = read_regular(paths.labels, LABELS_MAX_BYTES)
    except OSError:
        known = None
    if known != content:
        patiently(lambda: write_bytes(paths.labels, content))


def labels_bytes(data: Dataset | Corpus) -> bytes:
    """Return the test labels as a .npy file, int64 (N,)."""
    return array_bytes(data.test_labels.cpu().numpy().astype(np.int64))


def write_result(claimed: Claimed, outcome: Outcome, data: Dataset | Corpus) -> None:
    """Write predictions and weights first, the result last: it alone says that the run is done.

    Raises:
        Fenced: If the run was taken from this process.
    """
    run = claimed.run
    predictions = array_bytes(outcome.predictions)
    weights = weights_bytes(outcome.state)
    files = {run.predictions: predictions}
    if claimed.plan.dispatch.keep_weights:
        files[run.model] = weights
    result = ResultRecord(
        run=claimed.run_id,
        attempt=claimed.attempt.number,
        epochs=outcome.epochs,
        test_accuracy=outcome.test_accuracy,
        test_cross_entropy=outcome.test_cross_entropy,
        test_perplexity=outcome.test_perplexity,
        diverged=outcome.diverged,
        diverged_epoch=outcome.diverged_epoch,
        bit=outcome.bit,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        predictions_sha256=hashlib.sha256(predictions).hexdigest(),
        labels_sha256=hashlib.sha256(labels_bytes(data)).hexdigest(),
        seconds=outcome.seconds,
        finished=tell_time(),
    )
    files[run.result] = encode_record(result)
    write_run(claimed.attempt, files)
