"""Says where a study's figures come from: protocol, versions, machines, commits, data, control, digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.catalog.measures import digest_measures
from engine.protocol.faults import printable
from engine.recipe import Recipe
from engine.study.metrics_record import ArmMeasures
from engine.study.run_records import AttemptRecord, ResultRecord
from engine.study.study_plan import StudyPlan
from tui.text.answers.trust import is_control
from tui.text.counts import plural
from tui.text.format import format_seconds
from tui.text.tables import arm_name

SHOWN_DIGITS = 16
"""The digits of a digest that are shown."""


@dataclass(frozen=True)
class Origin:
    """Holds what was read of a study to say where it comes from."""

    folder: str
    plan: StudyPlan
    attempts: Mapping[str, AttemptRecord] = field(default_factory=dict[str, AttemptRecord])
    """Run → the attempt that gave its result."""
    results: Mapping[str, ResultRecord] = field(default_factory=dict[str, ResultRecord])
    recipes: Sequence[Recipe] = ()
    """One of each arm."""


def describe_origin(origin: Origin, arms: Iterable[ArmMeasures]) -> dict[str, list[tuple[str, str]]]:
    """Return pairs of a name and what is said, by the heading that they stand below."""
    groups = {
        "Study": _describe_study(origin),
        "Training": _describe_training(origin),
        "Control": _describe_control(arms),
        "Data and networks": _describe_data(origin),
        "Measures": _describe_measures(arms),
    }
    told = {head: [(name, printable(said)) for name, said in pairs if said] for head, pairs in groups.items()}
    return {head: pairs for head, pairs in told.items() if pairs}


def _describe_study(origin: Origin) -> list[tuple[str, str]]:
    plan, made = origin.plan, origin.plan.provenance
    overrides = ", ".join(plan.protocol.overrides)
    return [
        ("folder", origin.folder),
        ("planned as", plan.study),
        ("protocol", plan.protocol.file + (f" with {overrides}" if overrides else "")),
        ("planned", plan.created),
        ("on", f"{made.host}, {made.machine}"),
        ("GPUs", ", ".join(gpu.name for gpu in made.gpus)),
        ("versions", ", ".join(f"{name} {version}" for name, version in made.versions.items())),
        ("commit", made.git_commit or "not in a repository"),
    ]


def _describe_training(origin: Origin) -> list[tuple[str, str]]:
    attempts, results = list(origin.attempts.values()), list(origin.results.values())
    if not results:
        return [("runs", "none has finished")]
    versions = (one.versions for one in attempts)
    told = (
        f"python {v.python}, torch {v.torch}, numpy {v.numpy}"
        + (f", CUDA {v.cuda}" if v.cuda else "") + (f", cuDNN {v.cudnn}" if v.cudnn else "")
        for v in versions
    )  # fmt: skip
    variables = (
        {f"{name}={value}" for name, value in one.environment.items() if value is not None} for one in attempts
    )
    again = sum(one.attempt > 1 for one in results)
    return [
        ("runs", f"{plural(len(results), 'run')}, {format_seconds(sum(one.seconds for one in results))} of training"),
        ("finished", f"{min(one.finished for one in results)} to {max(one.finished for one in results)}"),
        ("devices", _count(one.device for one in attempts)),
        ("machines", _count(one.owner.host for one in attempts)),
        ("versions", _count(told)),
        ("processor", _count(one.cpu_capability for one in attempts)),
        ("variables", _count(", ".join(sorted(found)) or "none" for found in variables)),
        ("retries", f"{plural(again, 'run')} took more than one attempt" if again else "none"),
    ]


def _compare(arm: ArmMeasures) -> str:
    """Say whether an arm's replicas are the same: by their weights, or by the predictions of a user's own program."""
    if arm.identical_weights is None and arm.identical_predictions is not None:
        return "identical predictions" if arm.identical_predictions else "DIFFERENT predictions"
    said = {True: "identical weights", False: "DIFFERENT weights", None: "weights that cannot be compared"}
    return said[arm.identical_weights]


def _describe_control(arms: Iterable[ArmMeasures]) -> list[tuple[str, str]]:
    return [(arm_name(arm), f"{plural(arm.n, 'replica')} with {_compare(arm)}") for arm in arms if is_control(arm)] or [
        ("control", "there is none")
    ]


def _describe_data(origin: Origin) -> list[tuple[str, str]]:
    labels = {one.labels_sha256[:SHOWN_DIGITS] for one in origin.results.values()}
    pairs: list[tuple[str, str]] = []
    for kind, parts in (("data", [r.data for r in origin.recipes]), ("network", [r.model for r in origin.recipes])):
        names = dict.fromkeys(
            part.name + (f" (source {part.target_sha256[:SHOWN_DIGITS]})" if part.target_sha256 else "")
            for part in parts
        )
        pairs.append((kind, ", ".join(names)))
    return [*pairs, ("test labels", ", ".join(sorted(labels)))]


def _describe_measures(arms: Iterable[ArmMeasures]) -> list[tuple[str, str]]:
    files = [(f"files of {arm_name(arm)}", arm.files_sha256 or "none") for arm in arms]
    return [("formulas", digest_measures()), *files]


def _count(texts: Iterable[str]) -> str:
    """List different texts, the most frequent first; how often each occurs where there are several."""
    counted = Counter(texts)
    several = len(counted) > 1
    return "; ".join(f"{text} ({count})" if several else text for text, count in counted.most_common())
