"""The measures of a whole study: one entry per arm of metrics.json, from the runs that are there.

Everything may be damaged; what is, is named in the arm's entry, and the rest is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from engine.catalog.measure_declaration import Measure
from engine.catalog.measures import MEASURES
from engine.metrics.checked import Seen
from engine.metrics.conditioning import find_condition_numbers
from engine.metrics.crossed import measure_grid
from engine.metrics.devices import count_devices
from engine.metrics.diagnostics import diagnose
from engine.metrics.disputes import describe_disputes
from engine.metrics.estimates import Measured, keep_finite, measure_nothing
from engine.metrics.foreign import find_remarks, measure_classes, measure_scored_arm, measure_scores
from engine.metrics.grid_rows import leave_out_errors
from engine.metrics.language import measure_text
from engine.metrics.layers import summarise_cka
from engine.metrics.measures import measure_images
from engine.metrics.outputs import ImageOutputs
from engine.metrics.perturbation import add_responses, measure_growth
from engine.metrics.replicas import (
    Labels,
    Replica,
    ReplicaReader,
    average_groups,
    digest_all,
    find_usable,
    note_lost_labels,
    open_logits,
    read_labels,
    stack_predictions,
)
from engine.plan.records import PlannedArm
from engine.study.estimate import NOTHING, Estimate
from engine.study.growth_record import Growth
from engine.study.metrics_record import ArmMeasures, Disputes, StudyMeasures
from engine.study.parting import read_partings
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.selftest_record import SelfTestRecord
from engine.study.similarity_record import find_similarity
from engine.study.study_plan import StudyPlan


def measure_study(
    paths: StudyPaths,
    plan: StudyPlan,
    *,
    previous: StudyMeasures | None = None,
    seen: Seen | None = None,
    tell: Callable[[int, int], object] = lambda done, total: None,
) -> StudyMeasures:
    """Return the content of metrics.json.

    Args:
        paths: The study.
        plan: What was planned in it.
        previous: An earlier content, made by the same formulas; entries of arms that have not changed since are taken
            from it.
        seen: Predictions that were compared with their digests before; extended here.
        tell: Is told before an arm is measured how many are, and how many there are in all.
    """
    remarks = find_remarks(plan, find_record(paths.selftest, SelfTestRecord))
    if plan.kind == "scores":
        scored = [
            msgspec.structs.replace(measure_scored_arm(paths, plan, arm), devices=count_devices(paths, arm.runs))
            for arm in plan.arms
        ]
        return StudyMeasures(study=plan.study, arms=_finish(plan, [_remark(arm, remarks) for arm in scored]))
    labels = read_labels(paths.labels)
    earlier = {arm.name: arm for arm in previous.arms} if previous is not None else {}
    reader = ReplicaReader(paths, labels, {} if seen is None else seen)
    entries: list[ArmMeasures] = []
    for arm in plan.arms:
        found = _find_replicas(arm, reader.look(arm.runs))
        entry = _reuse(earlier.get(arm.name), found, arm, plan, digest_files(found, labels))
        if entry is None or arm.crossed:
            found = _find_replicas(arm, reader.check(arm.runs))
            entry = _reuse(earlier.get(arm.name), found, arm, plan, digest_files(found, labels))
        if entry is None:
            tell(len(entries), len(plan.arms))
            entry = measure_arm(arm, found, labels, bootstrap=plan.metrics.bootstrap, text=plan.text)
            entry = msgspec.structs.replace(entry, kind=plan.kind)
        entries.append(_remark(entry, remarks))
    note_lost_labels(paths, reader.replicas, labels)
    finished = {run: replica.result for run, replica in reader.replicas.items() if replica and replica.result}
    compared = find_similarity(paths.cka)
    arms = tuple(
        msgspec.structs.replace(
            entry,
            condition_number=find_condition_numbers(paths, arm, finished),
            growth=measure_growth(paths, plan, arm, reader.replicas, previous=_find_growth(earlier.get(arm.name))),
            onset=arm.onset,
            crossed=measure_grid(arm, reader.replicas, labels),
            unisolated=arm.unisolated,
            cka=summarise_cka(compared, arm.name),
            scores=measure_scores((finished.get(run) for run in entry.runs_used), bootstrap=plan.metrics.bootstrap),
            devices=entry.devices or count_devices(paths, arm.runs, finished),
            parting=read_partings(paths, arm.runs).first if is_broken(arm, entry) else None,
        )
        for entry, arm in zip(entries, plan.arms, strict=True)
    )
    return StudyMeasures(study=plan.study, arms=_finish(plan, add_responses(arms)))


def _finish(plan: StudyPlan, entries: Sequence[ArmMeasures]) -> tuple[ArmMeasures, ...]:
    """Leave out what does not hold of grids."""
    pairs = zip(plan.arms, entries, strict=True)
    return tuple(leave_out_errors(entry) if arm.crossed else entry for arm, entry in pairs)


def _find_growth(earlier: ArmMeasures | None) -> Growth | None:
    return None if earlier is None else earlier.growth


def is_broken(arm: PlannedArm, measured: ArmMeasures) -> bool:
    """Tell whether replicas differ between which nothing varies."""
    return not arm.vary and arm.group == 1 and measured.identical_weights is False


def _remark(arm: ArmMeasures, remarks: Mapping[str, str]) -> ArmMeasures:
    """Return an arm with remarks that hold for all of them, without those that held before."""
    own = {field: reason for field, reason in arm.reasons.items() if field not in ("kind", "floor")}
    return msgspec.structs.replace(arm, reasons={**own, **remarks})


def _find_replicas(arm: PlannedArm, replicas: Mapping[str, Replica | None]) -> list[Replica]:
    """List an arm's finished runs, or the ensembles of them that are complete."""
    if arm.group > 1:
        return average_groups([replicas[run] for run in arm.runs], arm.group)
    return [replica for run in arm.runs if (replica := replicas[run]) is not None]


def digest_files(replicas: list[Replica], labels: Labels | str) -> str | None:
    """Digest the files that an arm's measures are over: labels and predictions; None without labels."""
    return None if isinstance(labels, str) else f"{labels.sha256[:16]}{digest_all(find_usable(replicas))[:16]}"


def _reuse(
    earlier: ArmMeasures | None, found: list[Replica], arm: PlannedArm, plan: StudyPlan, files: str | None
) -> ArmMeasures | None:
    """Return the earlier entry if it was over the same files, and holds every measure that there is now."""
    same = (
        earlier is not None
        and all(_is_complete(measure, earlier) for measure in earlier.measures)
        and earlier.diagnostics.keys() == {measure.key for measure in MEASURES["diagnostics"]}
        and earlier.text == plan.text
        and earlier.kind == plan.kind
        and earlier.planned == len(arm.runs) // arm.group
        and earlier.vary == arm.vary
        and earlier.bootstrap == plan.metrics.bootstrap
        and earlier.files_sha256 == files
        and earlier.runs_used == tuple(replica.run for replica in find_usable(found))
        and earlier.damaged == sum(replica.fault is not None for replica in found)
        and earlier.diverged == sum(replica.diverged for replica in found)
    )
    return earlier if same else None


def _is_complete(measure: Measure, earlier: ArmMeasures) -> bool:
    """Tell whether an entry has every field of a measure, or the reason why not: earlier versions wrote fewer."""
    found = earlier.estimates.get(measure.key, NOTHING)
    fields = {measure.key: found.value, measure.error_field: found.error, measure.interval_field: found.interval}
    return all(value is not None or name is None or name in earlier.reasons for name, value in fields.items())


def measure_arm(
    arm: PlannedArm, replicas: list[Replica], labels: Labels | str, *, bootstrap: int, text: bool
) -> ArmMeasures:
    """Measure one arm: its counts, its measures and diagnostics, and reasons for what is None."""
    usable = find_usable(replicas)
    found = _measure(usable, labels, bootstrap, text=text, finished=bool(replicas))
    measured = found.measured
    digests = {replica.weights_sha256 for replica in usable}
    weightless = len(usable) > 1 and None in digests and arm.group == 1
    return ArmMeasures(
        name=arm.name,
        vary=arm.vary,
        text=text,
        planned=len(arm.runs) // arm.group,
        ensemble_size=arm.group,
        finished=len(usable),
        diverged=sum(replica.diverged for replica in replicas),
        damaged=sum(replica.fault is not None for replica in replicas),
        n=measured.n,
        estimates=measured.estimates,
        diagnostics=found.diagnostics,
        identical_weights=len(digests) == 1 if len(usable) > 1 and None not in digests else None,
        bootstrap=bootstrap,
        runs_used=tuple(replica.run for replica in usable),
        files_sha256=digest_files(replicas, labels),
        reasons=measured.reasons | _remarks(arm, replicas, usable),
        disputes=found.disputes,
        identical_predictions=len({replica.sha256 for replica in usable}) == 1 if weightless else None,
    )


@dataclass(frozen=True)
class _Found:
    """Holds what was measured of some replicas."""

    measured: Measured
    diagnostics: dict[str, Estimate] = field(
        default_factory=lambda: dict.fromkeys((measure.key for measure in MEASURES["diagnostics"]), NOTHING)
    )
    disputes: Disputes | None = None


def _measure(usable: list[Replica], labels: Labels | str, bootstrap: int, *, text: bool, finished: bool) -> _Found:
    """Measure some replicas, or say why not; their predictions are read here."""
    group = "text" if text else "images"
    parts = [replica.predictions for replica in usable if replica.predictions is not None]
    if isinstance(labels, str) or not parts:
        none = "no replica has predictions that can be measured" if finished else "no replica has finished"
        reason = labels if isinstance(labels, str) and finished else none  # the first run to finish writes labels
        return _Found(measure_nothing(group, 0, reason))
    if len({(part.shape, part.dtype) for part in parts}) > 1:
        return _Found(measure_nothing(group, len(parts), "replicas with different numbers of classes"))
    if text and parts[0].dtype.names is None:
        return _Found(measure_nothing(group, len(parts), "predictions.npy is not a language model's"))
    classes = None if text or len(parts[0].shape) == 1 else parts[0].shape[-1]
    if classes is not None and not (labels.values.min() >= 0 and labels.values.max() < classes):
        return _Found(measure_nothing(group, len(parts), "labels.npy does not fit the predictions"))
    disputes = None
    if parts[0].dtype.kind == "i":
        chosen = stack_predictions(parts)
        found = measure_classes(chosen, labels.values, bootstrap=bootstrap)
    elif text:
        stacked = stack_predictions(parts)
        chosen = stacked["argmax"]
        found = measure_text(chosen, stacked["log_probability"], labels.values, bootstrap=bootstrap)
    else:
        outputs = ImageOutputs(open_logits(parts), labels.values.astype(np.int64))
        chosen = outputs.predictions
        found = measure_images(outputs, bootstrap=bootstrap)
        disputes = describe_disputes(outputs)
    measured = keep_finite(group, found)
    if measured.estimates["accuracy_mean"].value is None:
        return _Found(measured)
    disagreement = measured.estimates["disagreement"].value
    return _Found(measured, diagnose(chosen, labels.values, disagreement=disagreement), disputes)


SHOWN_REPLICAS = 20
"""Replicas that a sentence lists; there may be thousands."""


def _remarks(arm: PlannedArm, replicas: list[Replica], usable: list[Replica]) -> dict[str, str]:
    """Say what there is to say about replicas that are not measured."""
    remarks: dict[str, str] = {}
    damaged = [replica for replica in replicas if replica.fault is not None]
    if damaged:
        remarks["damaged"] = "; ".join(f"{_number_replicas(arm, [one])}, run {one.run}: {one.fault}" for one in damaged)
    diverged = [replica for replica in replicas if replica.diverged]
    left_out = [replica for replica in diverged if replica not in usable]
    if diverged:
        names = _number_replicas(arm, diverged)
        remarks["diverged"] = f"{names} diverged; {len(left_out)} of them without finite predictions, left out"
    return remarks


def _number_replicas(arm: PlannedArm, replicas: list[Replica]) -> str:
    """Return replicas as their numbers in their arm, from 1; of many the first."""
    places = {run: place // arm.group + 1 for place, run in enumerate(arm.runs)}
    numbers = [str(places[replica.run.partition("+")[0]]) for replica in replicas]
    more = f" and {len(numbers) - SHOWN_REPLICAS} more" if len(numbers) > SHOWN_REPLICAS else ""
    return f"{'replica' if len(numbers) == 1 else 'replicas'} {', '.join(numbers[:SHOWN_REPLICAS])}{more}"
