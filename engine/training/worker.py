"""The worker: claims one run after another, trains it, and writes what is left of it into the run's folder.

The only part of the training that knows study folders. Everything that a run's result depends on is in its
recipe; what is here decides when it is trained, never how.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from engine.dispatch.queue import claim_next, write_exit
from engine.dispatch.slots import EXIT_STORE_FULL
from engine.errors import NondetError, StoreFullError
from engine.processes import current_owner
from engine.recipe import DataRecipe, Recipe
from engine.store.control import Control, read_control
from engine.store.epochs import append_epoch
from engine.store.files import explain_write_errors, read_json, write_bytes, write_json
from engine.store.paths import AttemptPaths, RunPaths, StudyPaths
from engine.store.study import StudyPlan, read_plan

from .data import Dataset
from .language.corpus import Corpus
from .patience import patiently
from .resumption import find_start, make_fork
from .run import Outcome, load, train_run
from .snapshot import CheckpointPolicy
from .stopping import Stopped
from .twins import evaluate_twin
from .weights import array_bytes, weights_bytes

LOG = logging.getLogger(__name__)

CONTROL_PERIOD_S = 0.5
"""How often a training looks for requests."""

RESULT_FORMAT = 1


@dataclass
class Requests:
    """What has been asked of this worker, by signal or through the study's control folder."""

    paths: StudyPaths
    terminated: bool = False
    control: Control = field(default_factory=Control)
    read_at: float = -1e9

    def look(self) -> Control:
        """The requests that hold, at most half a second old."""
        if time.monotonic() - self.read_at >= CONTROL_PERIOD_S:
            self.control, self.read_at = read_control(self.paths), time.monotonic()
        return self.control

    def must_stop(self, run_id: str) -> bool:
        """Whether this run is to end; waits here while it is paused."""
        while not self.terminated and self.look().holds(run_id) and not self.control.stops(run_id):
            time.sleep(CONTROL_PERIOD_S)
        return self.terminated or self.control.stops(run_id)


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

    @property
    def search_path(self) -> tuple[Path, ...]:
        return tuple(Path(folder) for folder in self.plan.search_path)


Datasets = dict[DataRecipe, Dataset | Corpus]


def work(paths: StudyPaths, *, slot: str, session: str) -> int:
    """Train what can be claimed of a study, until there is nothing left or the end is asked for.

    Returns:
        The process's exit status.
    """
    requests = Requests(paths)
    signal.signal(signal.SIGTERM, lambda *_: setattr(requests, "terminated", True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done: set[str] = set()
    datasets: Datasets = {}
    while not requests.terminated:
        try:
            claimed = patiently(lambda: _claim(paths, requests, done, slot=slot, session=session))
        except StoreFullError as error:
            LOG.error("%s", error)
            return EXIT_STORE_FULL
        if claimed is None:
            break
        if isinstance(claimed, str):  # what is left waits for a beginning that another worker trains
            time.sleep(CONTROL_PERIOD_S)
            continue
        status = _train_claimed(claimed, requests, datasets)
        if status is not None:
            return status
    return 0


def _claim(
    paths: StudyPaths, requests: Requests, done: set[str], *, slot: str, session: str
) -> Claimed | Literal["wait"] | None:
    """The next run of the plan as it stands now."""
    plan = read_plan(paths)
    control = requests.look()
    if control.cancelled:
        return None
    content = _attempt_content(session, slot)
    claimed = claim_next(
        paths,
        plan.order,
        control=control,
        session=session,
        content=content,
        done=done,
        forks=plan.forks,
        reuses=plan.reuses,
    )
    return Claimed(paths, plan, *claimed) if isinstance(claimed, tuple) else claimed


def _attempt_content(session: str, slot: str) -> dict[str, Any]:
    """Who trains, where, and with what: everything that may be the reason of a difference."""
    cuda = torch.cuda.is_available()
    return {
        "owner": current_owner().to_dict(),
        "session": session,
        "slot": slot,
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "device": torch.cuda.get_device_name(0) if cuda else _cpu_name(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if cuda else None,
            "numpy": np.__version__,
        },
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "environment": {
            name: os.environ.get(name)
            for name in (
                "CUDA_VISIBLE_DEVICES",
                "CUBLAS_WORKSPACE_CONFIG",
                "OMP_NUM_THREADS",
                "MKL_NUM_THREADS",
            )
        },
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def _train_claimed(claimed: Claimed, requests: Requests, datasets: Datasets) -> int | None:
    """Train one claimed run and record how that ended.

    Returns:
        An exit status where this process must not go on; None where it may claim the next run.
    """
    try:
        with _output_to(claimed.attempt.log):
            return _train_guarded(claimed, requests, datasets)
    except StoreFullError as error:
        LOG.error("%s", error)
        return EXIT_STORE_FULL


def _train_guarded(claimed: Claimed, requests: Requests, datasets: Datasets) -> int | None:
    """See `_train_claimed`; a full store is the caller's matter."""
    attempt = claimed.attempt
    try:
        recipe = _read_recipe(claimed.run, claimed.run_id)
        data = _load(recipe, claimed, datasets)
        _write_labels(claimed.study, data)
        outcome = _train(claimed, recipe, data, requests)
        _write_result(claimed, outcome)
    except Stopped:
        write_exit(attempt, "cancelled", "request", "stopped on request")
        return None
    except StoreFullError:
        raise
    except NondetError as error:
        LOG.error("%s", error)
        write_exit(attempt, "failed", "fault", str(error))
        return None
    except Exception as error:  # whatever a user's module raises is a failed run, not the worker's end
        traceback.print_exc()
        return _record_exception(attempt, error)
    attempt.checkpoint.unlink(missing_ok=True)
    # The kernels that autotuning chose last as long as the process, so free kernels need a fresh one per run.
    return 0 if recipe.lowlevel == "kernels" else None


def _record_exception(attempt: AttemptPaths, error: Exception) -> int | None:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        write_exit(attempt, "failed", "infrastructure", f"out of memory: {reason}")
        return None
    if "CUDA error" in str(error):
        # The CUDA context is unusable after such an error, and so is this process.
        write_exit(attempt, "failed", "infrastructure", reason)
        return 1
    write_exit(attempt, "failed", "fault", reason)
    return None


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send everything that is printed, by C code too, to the attempt's log."""
    saved = [os.dup(1), os.dup(2)]
    descriptor = patiently(lambda: _open_log(log))
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        yield
    finally:
        with contextlib.suppress(OSError):  # a full disk must not hide what happened before it
            sys.stdout.flush()
            sys.stderr.flush()
        for target, original in enumerate(saved, start=1):
            os.dup2(original, target)
            os.close(original)
        os.close(descriptor)


def _open_log(log: Path) -> int:
    with explain_write_errors(log):
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _read_recipe(run: RunPaths, run_id: str) -> Recipe:
    """The run's recipe; its id proves that it is the one that was planned."""
    content = read_json(run.spec)
    remedy = "run the protocol again to write it anew"
    if content is None:
        raise NondetError(f"{run.spec}: is missing or damaged: {remedy}")
    try:
        recipe = Recipe.from_dict(content["recipe"])
    except (KeyError, ValueError) as error:
        raise NondetError(f"{run.spec}: {error}: {remedy}") from error
    if recipe.id != run_id:
        raise NondetError(f"{run.spec}: holds the recipe of run {recipe.id}, not of {run_id}: {remedy}")
    return recipe


def _load(recipe: Recipe, claimed: Claimed, datasets: Datasets) -> Dataset | Corpus:
    """The run's data; the set of the last run stays in memory."""
    if recipe.data not in datasets:
        datasets.clear()
        root = Path(claimed.plan.data_root)
        datasets[recipe.data] = load(recipe.data, root=root, search_path=claimed.search_path)
    return datasets[recipe.data]


def _write_labels(paths: StudyPaths, data: Dataset | Corpus) -> None:
    """The test labels, by whichever worker comes first: all would write the same bytes."""
    if not paths.labels.is_file():
        labels = data.test_labels.cpu().numpy().astype(np.int64)
        patiently(lambda: write_bytes(paths.labels, array_bytes(labels)))


def _train(claimed: Claimed, recipe: Recipe, data: Dataset | Corpus, requests: Requests) -> Outcome:
    epochs = claimed.attempt.epochs
    device = torch.device("cuda:0" if recipe.device == "cuda" else "cpu")
    twin = claimed.plan.reuses.get(claimed.run_id)
    if twin is not None and isinstance(data, Dataset):
        run = claimed.study.run(twin)
        found = evaluate_twin(run, claimed.attempt, recipe, data, device=device, search_path=claimed.search_path)
        if found is not None:
            return found
    return train_run(
        recipe,
        data,
        device=device,
        search_path=claimed.search_path,
        on_epoch=lambda record: patiently(lambda: append_epoch(epochs, record)),
        resume_from=find_start(claimed.study, claimed.run, claimed.attempt, recipe),
        checkpoints=CheckpointPolicy(
            path=claimed.attempt.checkpoint, every_s=claimed.plan.checkpoint_s, recipe_id=claimed.run_id
        ),
        fork=make_fork(claimed.study, claimed.attempt, recipe),
        should_stop=lambda: requests.must_stop(claimed.run_id),
    )


def _write_result(claimed: Claimed, outcome: Outcome) -> None:
    """Predictions and weights first, the result last: it alone says that the run is done."""
    run = claimed.run
    predictions = array_bytes(outcome.predictions)
    weights = weights_bytes(outcome.state)
    patiently(lambda: write_bytes(run.predictions, predictions))
    if claimed.plan.keep_weights:
        patiently(lambda: write_bytes(run.model, weights))
    result = {
        "v": RESULT_FORMAT,
        "run": claimed.run_id,
        "attempt": claimed.attempt.number,
        "epochs": outcome.epochs,
        "test_accuracy": outcome.test_accuracy,
        "test_cross_entropy": _finite(outcome.test_cross_entropy),
        **({} if outcome.test_perplexity is None else {"test_perplexity": _finite(outcome.test_perplexity)}),
        "diverged": outcome.diverged,
        "diverged_epoch": outcome.diverged_epoch,
        "bit": None if outcome.bit is None else outcome.bit.to_dict(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "predictions_sha256": hashlib.sha256(predictions).hexdigest(),
        "seconds": outcome.seconds,
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    patiently(lambda: write_json(run.result, result))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
