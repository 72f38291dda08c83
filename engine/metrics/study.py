"""The measures of a whole study: one entry per arm of metrics.json, from the runs that are there.

Everything may be damaged; what is, is named in the arm's entry, and the rest is measured.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

from engine.errors import StudyError
from engine.metrics.checked import Seen
from engine.metrics.conditioning import find_condition_numbers
from engine.metrics.crossed import measure_grid
from engine.metrics.diagnostics import Diagnostics, diagnose
from engine.metrics.language import (
    TEXT_INTERVALS,
    TEXT_MEANS,
    TEXT_PAIRWISE,
    TEXT_SPREADS,
    TextDiversity,
    text_diversity,
)
from engine.metrics.layers import summarise_cka
from engine.metrics.measures import INTERVALS, MEANS, PAIRWISE, SPREADS, Diversity, diversity
from engine.metrics.replicas import (
    Labels,
    Replica,
    average_groups,
    digest_all,
    find_usable,
    note_lost_labels,
    read_labels,
    read_replica,
    stack_predictions,
)
from engine.study.files import read_json
from engine.study.paths import StudyPaths

FORMAT = 1
FIGURES = MEANS + SPREADS + PAIRWISE + INTERVALS
TEXT_FIGURES = TEXT_MEANS + TEXT_SPREADS + TEXT_PAIRWISE + TEXT_INTERVALS

Measures = Diversity | TextDiversity


def measure_study(paths: StudyPaths, *, previous: dict[str, Any] | None, seen: Seen | None = None) -> dict[str, Any]:
    """Make the content of metrics.json.

    Args:
        paths: The study.
        previous: An earlier content; entries of arms that have not changed since are taken from it.
        seen: Predictions that were compared with their digests before; extended here.

    Raises:
        StudyError: If the study's plan cannot be read.
    """
    plan = read_json(paths.plan)
    if plan is None or not isinstance(plan.get("arms"), list):
        raise StudyError(f"{paths.plan}: is missing or damaged: run the protocol again to write it anew")
    labels = read_labels(paths.labels)
    bootstrap, text = plan["metrics"]["bootstrap"], plan.get("text", False)
    earlier = {arm["name"]: arm for arm in (previous or {}).get("arms", [])}
    replicas: dict[str, Replica | None] = {}
    seen = {} if seen is None else seen
    before = dict(seen)
    entries = []
    for arm in plan["arms"]:
        for run in arm["runs"]:
            if run not in replicas:
                replicas[run] = read_replica(paths, run, labels, seen)
        found = _find_replicas(arm, replicas)
        entry = _reuse(earlier.get(arm["name"]), found, arm, bootstrap, digest_files(found, labels))
        if entry is None or arm.get("crossed"):
            # Their bytes are about to be used: how a file looks from outside is not enough.
            for run in arm["runs"]:
                if run in seen and seen[run] is before.pop(run, None):
                    del seen[run]
                    replicas[run] = read_replica(paths, run, labels, seen)
            found = _find_replicas(arm, replicas)
            entry = _reuse(earlier.get(arm["name"]), found, arm, bootstrap, digest_files(found, labels))
        # A copy: whether anything changed is seen by comparing with what was there before.
        entries.append(dict(entry) if entry else measure_arm(arm, found, labels, bootstrap=bootstrap, text=text))
    note_lost_labels(paths, replicas, labels)
    finished = {
        run: replica.result for run, replica in replicas.items() if replica is not None and replica.result is not None
    }
    for entry, arm in zip(entries, plan["arms"], strict=True):
        entry["condition_number"] = find_condition_numbers(paths, arm, finished)
        entry["onset"] = arm.get("onset")
        entry["crossed"] = measure_grid(arm, replicas)
        entry["cka"] = summarise_cka(paths, arm["name"])
    return {"v": FORMAT, "study": plan["study"], "arms": entries}


def _find_replicas(arm: dict[str, Any], replicas: dict[str, Replica | None]) -> list[Replica]:
    """List an arm's finished runs, or the ensembles of them that are complete."""
    if arm.get("group", 1) > 1:
        return average_groups([replicas[run] for run in arm["runs"]], arm["group"])
    return [replica for run in arm["runs"] if (replica := replicas[run]) is not None]


def digest_files(replicas: list[Replica], labels: Labels | str) -> str | None:
    """Digest the files that an arm's measures are over: labels and predictions; None without labels."""
    return None if isinstance(labels, str) else f"{labels.sha256[:16]}{digest_all(find_usable(replicas))[:16]}"


def _reuse(
    earlier: dict[str, Any] | None, found: list[Replica], arm: dict[str, Any], bootstrap: int, files: str | None
) -> dict[str, Any] | None:
    """Take the earlier entry if it was over the same files, and holds every measure that this version has."""
    kind = TextDiversity if (earlier or {}).get("text") else Diversity
    expected = {field.name for field in fields(kind)} - {"reasons"}
    known = {field.name for field in fields(Diagnostics)}
    if earlier is None or not expected <= set(earlier) or not known <= set(earlier.get("diagnostics") or ()):
        return None
    same = (
        earlier.get("planned") == len(arm["runs"]) // arm.get("group", 1)
        and earlier.get("vary") == arm["vary"]
        and earlier.get("bootstrap") == bootstrap
        and earlier.get("files_sha256") == files
        and earlier.get("runs_used") == [replica.run for replica in find_usable(found)]
        and earlier.get("damaged") == sum(replica.fault is not None for replica in found)
        and earlier.get("diverged") == sum(replica.diverged for replica in found)
    )
    return earlier if same else None


def measure_arm(
    arm: dict[str, Any], replicas: list[Replica], labels: Labels | str, *, bootstrap: int, text: bool = False
) -> dict[str, Any]:
    """Make one arm's entry: its counts, its measures, and reasons for what is null."""
    usable = find_usable(replicas)
    measures, diagnostics = _measure(usable, labels, bootstrap, text=text)
    entry = {name: value for name, value in asdict(measures).items() if name != "reasons"}
    for name in TEXT_INTERVALS if text else INTERVALS:
        entry[name] = None if entry[name] is None else list(entry[name])
    reasons = dict(measures.reasons) | _remarks(replicas, usable)
    for name, value in entry.items():
        if isinstance(value, float) and not math.isfinite(value):
            entry[name], reasons[name] = None, "not finite"
    digests = {replica.weights_sha256 for replica in usable}
    return {
        "name": arm["name"],
        "vary": arm["vary"],
        "text": text,
        "planned": len(arm["runs"]) // arm.get("group", 1),
        "ensemble_size": arm.get("group", 1),
        "finished": len(usable),
        "diverged": sum(replica.diverged for replica in replicas),
        "damaged": sum(replica.fault is not None for replica in replicas),
        **entry,
        "diagnostics": asdict(diagnostics),
        "identical_weights": len(digests) == 1 if len(usable) > 1 and None not in digests else None,
        "bootstrap": bootstrap,
        "runs_used": [replica.run for replica in usable],
        "files_sha256": digest_files(replicas, labels),
        "reasons": reasons,
    }


def _nothing(n: int, reason: str, *, text: bool) -> Measures:
    if text:
        return TextDiversity(n=n, reasons=dict.fromkeys(TEXT_FIGURES, reason))
    return Diversity(n=n, reasons=dict.fromkeys(FIGURES, reason))


def _measure(
    usable: list[Replica], labels: Labels | str, bootstrap: int, *, text: bool
) -> tuple[Measures, Diagnostics]:
    """Measure some replicas, or say why not; their predictions are read here, once."""
    parts = [replica.predictions for replica in usable if replica.predictions is not None]
    if isinstance(labels, str) or not parts:
        reason = labels if isinstance(labels, str) else "no replica has finished"
        return _nothing(0, reason, text=text), Diagnostics()
    if len({(part.shape, part.dtype) for part in parts}) > 1:
        return _nothing(len(parts), "replicas with different numbers of classes", text=text), Diagnostics()
    if text and parts[0].dtype.names is None:
        return _nothing(len(parts), "predictions.npy is not a language model's", text=True), Diagnostics()
    classes = None if text else parts[0].shape[-1]
    if classes is not None and not (labels.values.min() >= 0 and labels.values.max() < classes):
        return _nothing(len(parts), "labels.npy does not fit the predictions", text=False), Diagnostics()
    stacked = stack_predictions(parts)
    if text:
        chosen = stacked["argmax"]
        measures = text_diversity(chosen, stacked["log_probability"], labels.values, bootstrap=bootstrap)
    else:
        chosen = stacked.argmax(axis=2)
        measures = diversity(stacked, labels.values, bootstrap=bootstrap)
    if measures.accuracy_mean is None:
        return measures, Diagnostics()
    return measures, diagnose(chosen, labels.values, disagreement=measures.disagreement)


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
