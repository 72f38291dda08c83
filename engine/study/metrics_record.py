"""metrics.json: the measures of every arm's replicas, which can be computed anew from the runs at any time.

In the file the fields of an arm's measures stand beside its name and counts, KEY, KEY_error and KEY_ci of each measure
that is declared for its kind of network. In Python each measure is one `Estimate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import msgspec

from engine.catalog.measure_declaration import Measure
from engine.catalog.measures import MEASURES
from engine.decoding import convert
from engine.study.estimate import NOTHING, Estimate, Interval
from engine.study.growth_record import Growth, Response
from engine.study.parting import Parting
from engine.study.records import MEGABYTE, Damage, Record, read_record, write_record

Estimates = Mapping[str, Estimate]
"""By the key of the measure."""


class ConditionNumbers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Lower bounds of the condition number of training; None where a value of zero leaves none."""

    cross_entropy: float | None = None
    """Nats per unit of the moved weight."""
    cross_entropy_relative: float | None = None
    """Both sides divided by their values."""
    accuracy: float | None = None
    """Percent per unit of the moved weight."""
    accuracy_relative: float | None = None


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component of the variance in a grid of runs."""

    variance: float
    ci: Interval | None
    """95 %; None where a source has fewer than three seeds."""
    share: float | None
    """The share of this component in the sum of all that are not negative; None where that sum is zero."""


class Components(msgspec.Struct, frozen=True, kw_only=True):
    """The components of one figure's variance."""

    first: Component
    """Main effect of the first source."""
    second: Component
    interaction: Component


class Grid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Main effects and interaction of two crossed sources; without figures while a run is missing."""

    sources: tuple[str, str]
    levels: tuple[int, int]
    """Seeds of each source."""
    reason: str | None = None
    """Why there are no figures."""
    accuracy: Components | None = None
    """Percent squared, on this test set."""
    true_accuracy: Components | None = None
    """Percent squared, on all data of the test set's kind; None where an earlier version measured."""
    cross_entropy: Components | None = None
    """Nats squared."""
    logits: Components | None = None
    """Mean over examples and classes, each example's logits centred."""
    log_probability: Components | None = None
    """The components of the true word's log-probability, mean over words."""

    @property
    def figures(self) -> dict[str, Components]:
        """The figures that there are, by name."""
        named = {
            "accuracy": self.accuracy,
            "true accuracy": self.true_accuracy,
            "cross-entropy": self.cross_entropy,
            "logits": self.logits,
            "log-probabilities": self.log_probability,
        }
        return {name: found for name, found in named.items() if found is not None}


class LayerSimilarity(msgspec.Struct, frozen=True, kw_only=True):
    """The CKA of one layer, mean over pairs of replicas."""

    layer: str
    n: int
    """Replicas."""
    cka: float | None
    """None below two replicas."""
    cka_ci: Interval | None
    """95 %, from leaving out each replica in turn, within 0 and 1; None below three."""
    cka_debiased: float | None = None
    """The same with the unbiased estimate of HSIC; None too where an earlier version compared the layers."""
    cka_debiased_ci: Interval | None = None
    """95 %, within −1 and 1."""

    @property
    def estimate(self) -> Estimate:
        """The CKA with its interval."""
        return Estimate(self.cka, interval=self.cka_ci)


class ClassFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy on the test examples of one class."""

    label: int
    """Number of the class, from 0."""
    examples: int
    accuracy: float
    """Percent, mean over replicas."""
    sd: float
    """Of the accuracy over replicas, with R − 1."""


class ExampleVotes(msgspec.Struct, frozen=True, kw_only=True):
    """One test example, and the classes that replicas predict for it."""

    index: int
    """Its place in the test set, from 0."""
    label: int
    """Its true class."""
    shares: tuple[tuple[int, float], ...]
    """Classes and the shares of replicas that predict them, the largest first; the smallest are left out."""


class Disputes(msgspec.Struct, frozen=True, kw_only=True):
    """The classes and examples on which replicas differ most."""

    classes: int
    """Classes that have test examples."""
    worst: tuple[ClassFigures, ...]
    """The few with the lowest accuracy."""
    unsteady: tuple[ClassFigures, ...]
    """The few with the largest SD."""
    examples: tuple[ExampleVotes, ...]
    """The few on which most pairs of replicas disagree."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One number that a user's own program leaves, over an arm's replicas."""

    n: int
    """Replicas that have left it, as a finite number."""
    mean: float
    mean_ci: Interval | None
    """95 %, Student's t; None below three replicas."""
    sd: float | None
    """R in the denominator; None below two replicas."""
    sd_error: float | None
    """SD of the SD over bootstrap resamples of the replicas."""
    sd_ci: Interval | None
    """95 %; None below three replicas."""


SCORE_PREFIX = "scores."
"""Begins the key of a score: scores.NAME.mean and scores.NAME.sd."""


class ArmMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """One arm: its counts, its measures, and reasons for what is None."""

    name: str
    vary: tuple[str, ...]
    text: bool
    """Whether the runs are language models."""
    planned: int
    """Replicas that the arm is to have."""
    ensemble_size: int
    """Runs behind each replica."""
    finished: int
    diverged: int
    damaged: int
    n: int
    """Replicas that were measured."""
    estimates: dict[str, Estimate]
    diagnostics: dict[str, Estimate]
    identical_weights: bool | None
    """None where fewer than two replicas can be compared."""
    bootstrap: int
    """Resamples of the replicas."""
    runs_used: tuple[str, ...]
    files_sha256: str | None
    """The digest of the files that were measured; None without labels."""
    reasons: dict[str, str]
    """Field of a measure, or "damaged" or "diverged" → why."""
    growth: Growth | None = None
    """How moved bits grew; None of arms in which they do not vary alone, and without sketches."""
    response: Response | None = None
    """What its growth says together with that of the arms that differ from it in the size of what was moved."""
    condition_number: ConditionNumbers | None = None
    """The condition numbers of an arm in which one bit varies; None for others."""
    onset: int | None = None
    """Epoch in which the sources begin to differ; None where they do from the start."""
    unisolated: str | None = None
    """Why other sources than those that vary are not held, as a clause on its network; None where they are."""
    crossed: Grid | None = None
    """The components of an arm in which two sources are crossed; None for others."""
    cka: tuple[LayerSimilarity, ...] | None = None
    """The similarities of the layers in the order of the network; None where layers were not compared."""
    disputes: Disputes | None = None
    """None of language models, below two replicas, and where an earlier version measured."""
    kind: str = "logits"
    """What was measured: logits, probabilities, classes; or scores, where there are no predictions."""
    identical_predictions: bool | None = None
    """Whether all replicas predict the same to the bit; None where their weights say more, or there are not two."""
    parting: Parting | None = None
    """Where the replicas of a control part; None where they do not, or earlier versions trained them."""
    scores: dict[str, Score] = msgspec.field(default_factory=dict[str, Score])
    """Numbers that a user's own program leaves, by name."""
    devices: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    """The models of device that its runs were trained on, each with their number; empty where nobody recorded them."""

    def find(self, key: str) -> Estimate:
        """Return a measure, diagnostic or score by its key; nothing is in it where the arm has none."""
        if key.startswith(SCORE_PREFIX):
            name, _, figure = key.removeprefix(SCORE_PREFIX).rpartition(".")
            score = self.scores.get(name)
            if score is None:
                return NOTHING
            mean = Estimate(score.mean, interval=score.mean_ci)
            return mean if figure == "mean" else Estimate(score.sd, score.sd_error, score.sd_ci)
        return self.estimates.get(key) or self.diagnostics.get(key) or NOTHING

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that are declared for the arm's networks."""
        return MEASURES["text" if self.text else "images"]


def group_onsets(arms: Iterable[ArmMeasures]) -> dict[str, list[ArmMeasures]]:
    """Return the arms that differ in nothing but their onset, by onset, under the name that they share."""
    families: dict[str, list[ArmMeasures]] = {}
    for arm in arms:
        if arm.onset is not None:
            families.setdefault(arm.name.removesuffix(f", onset {arm.onset}"), []).append(arm)
    return {name: sorted(family, key=lambda arm: arm.onset or 0) for name, family in families.items()}


class StudyMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The content of metrics.json."""

    study: str
    arms: tuple[ArmMeasures, ...]


class MetricsFile(Record, frozen=True, tag=1):
    """metrics.json as it is written: arms with the fields of their measures beside the others."""

    max_bytes: ClassVar[int] = 32 * MEGABYTE

    study: str
    arms: tuple[dict[str, Any], ...]


def read_metrics(path: Path) -> StudyMeasures | Damage | None:
    """Read metrics.json.

    Returns:
        The measures, the damage where the file does not hold any, None where there is no file.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    found = read_record(path, MetricsFile)
    if not isinstance(found, MetricsFile):
        return found
    try:
        return gather_metrics(found)
    except msgspec.ValidationError as error:
        return Damage(path, f"is damaged: {error}")


def find_metrics(path: Path) -> StudyMeasures | None:
    """Read metrics.json; None where it is absent or damaged."""
    found = read_metrics(path)
    return found if isinstance(found, StudyMeasures) else None


def write_metrics(path: Path, content: StudyMeasures) -> None:
    """Replace metrics.json as a whole; see `write_record` for what is raised."""
    write_record(path, spread_metrics(content))


def spread_metrics(content: StudyMeasures) -> MetricsFile:
    """Return measures as they stand in the file; inverse of `gather_metrics`."""
    return MetricsFile(study=content.study, arms=tuple(spread_arm(arm) for arm in content.arms))


def gather_metrics(file: MetricsFile) -> StudyMeasures:
    """Return the measures that stand in the file.

    Raises:
        msgspec.ValidationError: If something is not what it should be.
    """
    return StudyMeasures(study=file.study, arms=tuple(gather_arm(arm) for arm in file.arms))


def describe_metrics(study: str, arms: Iterable[ArmMeasures]) -> dict[str, object]:
    """Return the content of metrics.json."""
    return {"v": MetricsFile.__struct_config__.tag, "study": study, "arms": [spread_arm(arm) for arm in arms]}


def spread_arm(arm: ArmMeasures) -> dict[str, object]:
    """Return an arm as it stands in the file; inverse of `gather_arm`."""
    content: dict[str, object] = {}
    for name, value in msgspec.to_builtins(arm).items():
        if name == "estimates":
            content |= spread_estimates(arm.estimates, arm.measures)
        elif name == "diagnostics":
            content[name] = spread_estimates(arm.diagnostics, MEASURES["diagnostics"])
        else:
            content[name] = value
    return content


def spread_estimates(estimates: Estimates, measures: Iterable[Measure]) -> dict[str, float | list[float] | None]:
    """Return estimates as fields: KEY, KEY_error and KEY_ci, as far as each measure has them."""
    fields: dict[str, float | list[float] | None] = {}
    for measure in measures:
        found = estimates.get(measure.key, NOTHING)
        fields[measure.key] = found.value
        if measure.error_field is not None:
            fields[measure.error_field] = found.error
        if measure.interval_field is not None:
            fields[measure.interval_field] = None if found.interval is None else list(found.interval)
    return fields


def gather_arm(content: Mapping[str, Any]) -> ArmMeasures:
    """Return an arm from what stands in the file; measures that are missing there have no estimate.

    Earlier versions wrote fewer errors and intervals: what a measure lacks of these is None.

    Raises:
        msgspec.ValidationError: If something is not what it should be.
    """
    measures = MEASURES["text" if content.get("text") is True else "images"]
    diagnostics = content.get("diagnostics")
    found = cast("dict[str, Any]", diagnostics) if isinstance(diagnostics, dict) else {}
    parts = {
        "estimates": _gather_estimates(content, measures),
        "diagnostics": _gather_estimates(found, MEASURES["diagnostics"]),
    }
    return convert({**content, **parts}, ArmMeasures)


def _gather_estimates(content: Mapping[str, Any], measures: Iterable[Measure]) -> dict[str, dict[str, Any]]:
    return {
        measure.key: {
            "value": content[measure.key],
            "error": content.get(measure.error_field or ""),
            "interval": content.get(measure.interval_field or ""),
        }
        for measure in measures
        if measure.key in content
    }
