"""The measures of a whole study: one entry per arm of metrics.json, from the runs that are there.

Everything may be damaged; what is, is named in the arm's entry, and the rest is measured.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import StudyError
from engine.store.files import read_json
from engine.store.paths import StudyPaths

from .measures import INTERVALS, MEANS, PAIRWISE, SPREADS, Diversity, diversity

FORMAT = 1
FIGURES = MEANS + SPREADS + PAIRWISE + INTERVALS


@dataclass(frozen=True)
class Replica:
    """One finished run, or what is wrong with it."""

    run: str
    fault: str | None = None
    """Why its predictions cannot be used."""
    diverged: bool = False
    weights_sha256: str | None = None
    predictions: np.ndarray | None = None
    """Mapped from its file: float32 (N, C)."""


def measure_study(paths: StudyPaths, *, previous: dict[str, Any] | None) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        paths: The study.
        previous: An earlier content; entries of arms that have not changed since are taken from it.

    Raises:
        StudyError: If the study's plan cannot be read.
    """
    plan = read_json(paths.plan)
    if plan is None or not isinstance(plan.get("arms"), list):
        raise StudyError(f"{paths.plan}: is missing or damaged: run the protocol again to write it anew")
    labels = read_labels(paths.labels)
    bootstrap = plan["metrics"]["bootstrap"]
    earlier = {arm["name"]: arm for arm in (previous or {}).get("arms", [])}
    replicas: dict[str, Replica | None] = {}
    entries = []
    for arm in plan["arms"]:
        for run in arm["runs"]:
            if run not in replicas:
                replicas[run] = read_replica(paths, run, labels)
        found = [replica for run in arm["runs"] if (replica := replicas[run]) is not None]
        if arm.get("group", 1) > 1:
            found = average_groups([replicas[run] for run in arm["runs"]], arm["group"])
        entry = _reuse(earlier.get(arm["name"]), found, arm, bootstrap)
        entries.append(entry or measure_arm(arm, found, labels, bootstrap=bootstrap))
    return {"v": FORMAT, "study": plan["study"], "arms": entries}


def read_labels(path: Path) -> np.ndarray | str:
    """The study's labels, int64 (N,), or what is wrong with them."""
    try:
        labels = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return "labels.npy is missing; the next run that is trained writes it anew"
    except (OSError, ValueError, EOFError) as error:
        return f"labels.npy is damaged ({error})"
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return f"labels.npy holds {labels.dtype} {labels.shape}, not whole numbers (N,)"
    return labels


def read_replica(paths: StudyPaths, run_id: str, labels: np.ndarray | str) -> Replica | None:
    """A run's predictions; None where it has not finished, a fault where something is wrong with them.

    Without usable labels there is nothing to compare predictions with, and none are read.
    """
    run = paths.run(run_id)
    if not run.result.exists():
        return None
    result = read_json(run.result)
    if result is None:
        return Replica(run_id, fault="result.json is empty or damaged")
    if isinstance(labels, str):
        return Replica(run_id)
    predictions = read_predictions(run.predictions, len(labels))
    if isinstance(predictions, str):
        return Replica(run_id, fault=predictions)
    diverged = result.get("diverged") is True
    if not diverged and not np.isfinite(predictions).all():
        return Replica(run_id, fault="predictions.npy holds values that are not finite")
    return Replica(run_id, diverged=diverged, weights_sha256=result.get("weights_sha256"), predictions=predictions)


def average_groups(members: list[Replica | None], size: int) -> list[Replica]:
    """Ensembles of `size` runs each, in order, none in two: the mean of their logits stands for a replica.

    A group counts once all of its members can be used.

    Source: paper, section 5; the published code averages logits.
    """
    ensembles = []
    for start in range(0, len(members) - size + 1, size):
        group = [member for member in members[start : start + size] if member is not None]
        usable = [member.predictions for member in _usable(group) if member.predictions is not None]
        if len(usable) == size and len({array.shape for array in usable}) == 1:
            total = np.sum(np.stack(usable), axis=0, dtype=np.float64)
            mean = np.asarray(total / size, dtype=np.float32)
            ensembles.append(Replica("+".join(member.run for member in group), predictions=mean))
    return ensembles


def read_predictions(path: Path, examples: int) -> np.ndarray | str:
    """A run's logits, float32 (N, C), mapped from the file, or what is wrong with them."""
    try:
        predictions = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        return "predictions.npy is missing"
    except (OSError, ValueError, EOFError) as error:
        return f"predictions.npy is damaged ({error})"
    if predictions.ndim != 2 or len(predictions) != examples or predictions.dtype != np.float32:
        return f"predictions.npy holds {predictions.dtype} {predictions.shape}, not float32 ({examples}, C)"
    return predictions


def _usable(replicas: list[Replica]) -> list[Replica]:
    """The replicas that measures are over: neither damaged nor diverged to values that are not finite."""
    return [
        replica
        for replica in replicas
        if replica.predictions is not None and not (replica.diverged and not np.isfinite(replica.predictions).all())
    ]


def _reuse(
    earlier: dict[str, Any] | None, found: list[Replica], arm: dict[str, Any], bootstrap: int
) -> dict[str, Any] | None:
    """The earlier entry if it was over the same files; result files never change."""
    if earlier is None:
        return None
    same = (
        earlier.get("planned") == len(arm["runs"]) // arm.get("group", 1)
        and earlier.get("vary") == arm["vary"]
        and earlier.get("bootstrap") == bootstrap
        and earlier.get("runs_used") == [replica.run for replica in _usable(found)]
        and earlier.get("damaged") == sum(replica.fault is not None for replica in found)
        and earlier.get("diverged") == sum(replica.diverged for replica in found)
    )
    return earlier if same else None


def measure_arm(
    arm: dict[str, Any], replicas: list[Replica], labels: np.ndarray | str, *, bootstrap: int
) -> dict[str, Any]:
    """One arm's entry: its counts, its measures, and reasons for what is null."""
    usable = _usable(replicas)
    if isinstance(labels, str) and replicas:
        measures = Diversity(n=0, reasons=dict.fromkeys(FIGURES, labels))
    else:
        measures = _measure(usable, labels, bootstrap)
    entry = {name: value for name, value in asdict(measures).items() if name != "reasons"}
    entry |= {name: list(entry[name]) for name in INTERVALS if entry[name] is not None}
    reasons = dict(measures.reasons) | _remarks(replicas, usable)
    for name, value in entry.items():
        if isinstance(value, float) and not math.isfinite(value):
            entry[name], reasons[name] = None, "not finite"
    digests = {replica.weights_sha256 for replica in usable}
    return {
        "name": arm["name"],
        "vary": arm["vary"],
        "planned": len(arm["runs"]) // arm.get("group", 1),
        "ensemble_size": arm.get("group", 1),
        "finished": len(usable),
        "diverged": sum(replica.diverged for replica in replicas),
        "damaged": sum(replica.fault is not None for replica in replicas),
        **entry,
        "test_set_sd": _test_set_sd(measures, labels),
        "identical_weights": len(digests) == 1 if len(usable) > 1 and None not in digests else None,
        "bootstrap": bootstrap,
        "runs_used": [replica.run for replica in usable],
        "reasons": reasons,
    }


def _measure(usable: list[Replica], labels: np.ndarray | str, bootstrap: int) -> Diversity:
    arrays = [replica.predictions for replica in usable if replica.predictions is not None]
    if isinstance(labels, str) or not arrays:
        return Diversity(n=0, reasons=dict.fromkeys(FIGURES, "no replica has finished"))
    if len({array.shape for array in arrays}) > 1:
        return Diversity(n=len(arrays), reasons=dict.fromkeys(FIGURES, "replicas with different numbers of classes"))
    if not (labels.min() >= 0 and labels.max() < arrays[0].shape[1]):
        return Diversity(n=len(arrays), reasons=dict.fromkeys(FIGURES, "labels.npy does not fit the predictions"))
    return diversity(np.stack(arrays), labels, bootstrap=bootstrap)


def _remarks(replicas: list[Replica], usable: list[Replica]) -> dict[str, str]:
    """What there is to say about replicas that are not measured."""
    remarks = {}
    damaged = [replica for replica in replicas if replica.fault is not None]
    if damaged:
        remarks["damaged"] = "; ".join(f"run {replica.run}: {replica.fault}" for replica in damaged)
    diverged = [replica for replica in replicas if replica.diverged]
    left_out = [replica for replica in diverged if replica not in usable]
    if diverged:
        names = ", ".join(replica.run for replica in diverged)
        remarks["diverged"] = f"diverged: {names}; {len(left_out)} of them without finite predictions, left out"
    return remarks


def _test_set_sd(measures: Diversity, labels: np.ndarray | str) -> float | None:
    """SD of accuracy, percentage points, that independent errors on this test set alone would give at most.

    The square root of d/2n with d the disagreement as a fraction: Var = Σ p(1−p)/n² and a pair's chance that
    exactly one is right, 2·p(1−p), is at most its chance to disagree.
    """
    if measures.disagreement is None or isinstance(labels, str):
        return None
    return 100.0 * math.sqrt(measures.disagreement / 100.0 / (2 * len(labels)))
