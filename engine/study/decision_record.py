"""A study's decision.json: after how many pairs of replicas its two arms were told apart, or found equal enough.

The plan of a study that trains until it is decided holds the most replicas that there may be. From this file on, every
reader sees the plan with the counted replicas alone: what is trained, measured and shown follows from that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from engine.plan.records import PlannedArm
from engine.study.paths import StudyPaths
from engine.study.records import Record, find_record
from engine.study.rounds import End


class CompareSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Says which two arms a study compares, in what, and whether it trains until that is decided."""

    a: str
    b: str
    measure: str
    margin: float | None = None
    """The smallest difference worth having, in the measure's unit; None where nobody said."""
    until_decided: bool = False


class DecisionRecord(Record, frozen=True, kw_only=True, tag=1):
    """decision.json: written once the counted pairs are enough."""

    settings: CompareSettings
    runs_sha256: str
    """Digest of the ids of the counted runs: those of other trainings are decided anew."""
    pairs: int
    """The replicas of each arm that count, from the first on; pairs without a figure are among them."""
    counted: int
    """Of them, those with a figure in both arms."""
    difference: float
    """Mean of A less B, in the measure's unit."""
    interval: tuple[float, float]
    """That may be looked at after every pair."""
    end: End


def digest_pairs(arms: Sequence[PlannedArm], settings: CompareSettings, pairs: int) -> str | None:
    """Return the digest of the first runs of both arms; None where an arm is missing or has fewer."""
    named = {arm.name: arm.runs[:pairs] for arm in arms}
    runs = [named.get(name, ()) for name in (settings.a, settings.b)]
    if any(len(part) < pairs for part in runs):
        return None
    return hashlib.sha256(" ".join(run for part in runs for run in part).encode()).hexdigest()


def read_decision(
    paths: StudyPaths, arms: Sequence[PlannedArm], settings: CompareSettings | None
) -> DecisionRecord | None:
    """Return what was decided of a plan's arms; None where nothing was, or not of these trainings.

    Args:
        paths: The study.
        arms: Of its plan, with all replicas.
        settings: What they are compared in.
    """
    if settings is None or not settings.until_decided:
        return None
    found = find_record(paths.decision, DecisionRecord)
    if found is None or found.settings != settings or found.pairs < 2:
        return None
    return found if digest_pairs(arms, settings, found.pairs) == found.runs_sha256 else None


def cut_arms(arms: Sequence[PlannedArm], decision: DecisionRecord | None) -> tuple[PlannedArm, ...]:
    """Return a plan's arms with only the replicas that count: the two that were compared are shorter."""
    if decision is None:
        return tuple(arms)
    compared = (decision.settings.a, decision.settings.b)
    return tuple(
        msgspec.structs.replace(arm, runs=arm.runs[: decision.pairs]) if arm.name in compared else arm for arm in arms
    )
