"""Says which arms of a plan are not isolated: in which other sources change along with those that vary."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from engine.plan.plan import Plan
from engine.plan.records import Leak, PlannedArm
from engine.recipe import Recipe

ORDERING = frozenset({"sample", "shuffle", "lowlevel"})
"""Sources that give an example another place in its minibatch, or other company."""


def network_key(recipe: Recipe) -> str:
    """Return a key that is equal for runs of the same network on the same data."""
    return hashlib.sha256(repr((recipe.data, recipe.model)).encode()).hexdigest()[:16]


def find_leak(plan: Plan, arm: PlannedArm, leaks: Mapping[str, Leak]) -> Leak | None:
    """Return how an arm's sources leak into each other; None where they do not.

    Args:
        plan: The arm's.
        arm: With runs of its own, or an ensemble of another's.
        leaks: By the key of data and network, those that are known.
    """
    recipe = plan.recipes[arm.runs[0]]
    leak = leaks.get(network_key(recipe))
    trained = [other for other in plan.arms if other.group == 1 and set(arm.runs) <= set(other.runs)]
    varying = (
        set(arm.vary).union(*(other.vary for other in trained)) if arm.group > 1 else set(arm.vary) - set(arm.empty)
    )
    moving = ORDERING if recipe.lowlevel == "order" else ORDERING - {"lowlevel"}
    return leak if leak is not None and (leak.everywhere or varying & moving) else None


def note_leaks(plan: Plan, leaks: Mapping[str, Leak]) -> Plan:
    """Return a plan whose arms say where they are not isolated."""
    found = [find_leak(plan, arm, leaks) for arm in plan.arms]
    return _note(plan, [None if leak is None else leak.reason for leak in found])


def repeat_notes(plan: Plan, known: Sequence[PlannedArm]) -> Plan:
    """Return a plan whose arms say of themselves what known ones of the same runs and sources say."""

    def find(arm: PlannedArm) -> str | None:
        same = [one for one in known if one.vary == arm.vary and set(one.runs) & set(arm.runs)]
        return next((one.unisolated for one in same if one.unisolated is not None), None)

    return _note(plan, [find(arm) for arm in plan.arms])


def _note(plan: Plan, reasons: Sequence[str | None]) -> Plan:
    pairs = zip(plan.arms, reasons, strict=True)
    return replace(plan, arms=tuple(msgspec.structs.replace(arm, unisolated=reason) for arm, reason in pairs))
