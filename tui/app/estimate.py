"""Estimates how long a protocol trains and how much disk it takes, from epochs that were timed once.

What was timed is kept by workload, so that other epochs, replicas, arms or learning rates change the estimate at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.recipe import DataRecipe, DeviceType, EvaluateRecipe, ModelRecipe, PackRecipe, Recipe, TrainRecipe
from engine.tuning.choice import decide, name_devices, open_chosen
from engine.tuning.probe import ProbeFacts, probe_plan
from tui.app.previewed import ProtocolPreview
from tui.commands.check import describe_choices, estimate_run_bytes, estimate_run_s


@dataclass(frozen=True)
class Workload:
    """Holds what the time of an epoch depends on."""

    device: DeviceType
    data: DataRecipe
    model: ModelRecipe
    train: TrainRecipe
    """Without how many epochs there are, and the size of their steps."""
    pack: PackRecipe | None
    compiled: bool
    """Whether kernels are compiled, in a pack or alone."""
    evaluate: EvaluateRecipe | None
    streams: int | None


@dataclass(frozen=True)
class Timing:
    """Holds what was timed."""

    facts: Mapping[Workload, ProbeFacts] = field(default_factory=lambda: MappingProxyType({}))
    failures: Mapping[Workload, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Why a workload could not be timed, in lines."""
    notes: tuple[str, ...] = ()
    """What was chosen where the protocol leaves it to the machine."""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """The devices that a protocol names → the slots on them that were chosen."""

    def lacks(self, plan: Plan) -> bool:
        """Tell whether a workload of a plan was neither timed nor tried."""
        return any(load not in self.facts and load not in self.failures for load in list_workloads(plan))

    def explain_failure(self, plan: Plan) -> tuple[str, ...]:
        """Return why a plan cannot be timed, in lines; none where it can, or was not tried."""
        return next((self.failures[load] for load in list_workloads(plan) if load in self.failures), ())

    def extend(self, other: Timing) -> Timing:
        """Return both together; what the other one says is the newer."""
        facts = {**self.facts, **other.facts}
        failures = {load: rows for load, rows in {**self.failures, **other.failures}.items() if load not in other.facts}
        places = MappingProxyType({**self.places, **other.places})
        return Timing(MappingProxyType(facts), MappingProxyType(failures), other.notes, places)

    def settle(self, preview: ProtocolPreview) -> ProtocolPreview:
        """Return a preview with the slots that were chosen, where it leaves them open."""
        places = self.places.get(preview.devices)
        return preview if preview.counts is None or places is None else replace(preview, places=places, counts=None)


@dataclass(frozen=True)
class Estimate:
    """Says what the runs that are left will take."""

    seconds: float
    disk: int
    """Bytes that they keep."""
    by_arm: Mapping[str, float]
    """Arm → seconds that all of its runs take, done or not, shared or not, on all slots."""
    at_most: bool = False
    """Whether that is the most that it takes: how many slots there are is still to be chosen."""


def list_workloads(plan: Plan) -> list[Workload]:
    """Return each workload of a plan once; of a user's own program nothing is tried out but by its self-test."""
    trained = [recipe for recipe in plan.recipes.values() if recipe.command is None]
    return list(dict.fromkeys(find_workload(recipe) for recipe in trained))


def find_workload(recipe: Recipe) -> Workload:
    """Return what the time of a recipe's epoch depends on."""
    train = replace(
        recipe.train, epochs=1, lr=1.0, momentum=0.0, weight_decay=0.0, bias_bn_lr_scale=1.0, warmup_epochs=0.0,
        schedule="constant", cycles=None,
    )  # fmt: skip
    compiled = bool(recipe.compiled) if recipe.pack is None else recipe.pack.compiled
    return Workload(
        recipe.device, recipe.data, recipe.model, train, recipe.pack, compiled, recipe.evaluate, recipe.streams
    )


def estimate(plan: Plan, preview: ProtocolPreview, timing: Timing) -> Estimate | None:
    """Estimate what is left of a plan; None where a workload was not timed.

    Args:
        plan: The plan.
        preview: What is done of it, and where the rest would be trained.
        timing: What was timed.
    """
    seconds: dict[str, float] = {}
    disk = 0
    for run, recipe in plan.recipes.items():
        fact = timing.facts.get(find_workload(recipe))
        if fact is None or fact.seconds_per_epoch is None:
            return None
        seconds[run] = estimate_run_s(plan, fact, run)
        disk += 0 if run in preview.finished else estimate_run_bytes(plan, fact, run)
    slots = preview.side_by_side
    left = sum(took for run, took in seconds.items() if run not in preview.finished)
    by_arm = {arm.name: sum(seconds[run] for run in arm.runs) / slots for arm in plan.arms if arm.group == 1}
    return Estimate(left / slots, disk, MappingProxyType(by_arm), at_most=preview.counts is not None)


def may_time_unasked(protocol: Protocol, preview: ProtocolPreview) -> bool:
    """Tell whether timing runs nobody's code, downloads nothing and tries nothing out."""
    theirs = preview.code or preview.own_data or protocol.command is not None
    return not theirs and not preview.missing and protocol.dispatch.pack != "auto"


def time_plan(protocol: Protocol, plan: Plan, store: Path, *, choose: bool) -> Timing:
    """Train for about a second per workload, in a process of its own.

    Args:
        protocol: What is timed.
        plan: Its plan.
        store: The store, whose study of this name would be continued.
        choose: Whether what the protocol leaves to the machine is tried out too, as before a training.
    """
    try:
        if not choose:
            return _keep(plan, probe_plan(protocol, plan, timed=True))
        decided = decide(protocol, store=str(store), timed=True)
    except NondetError as error:
        return Timing(failures=MappingProxyType(dict.fromkeys(list_workloads(plan), tuple(str(error).splitlines()))))
    notes = (*describe_choices(decided.plan, decided.chosen), *(f"note: {note}" for note in decided.notes))
    found = dict(_keep(decided.plan, decided.facts).facts)
    # What was asked about knows nothing yet of the packs that were chosen only now.
    alone = {replace(load, pack=None): fact for load, fact in found.items()}
    places = {name_devices(protocol): tuple(open_chosen(protocol, decided.chosen).places)}
    return Timing(MappingProxyType({**alone, **found}), notes=notes, places=MappingProxyType(places))


def _keep(plan: Plan, facts: tuple[ProbeFacts, ...]) -> Timing:
    return Timing(MappingProxyType({find_workload(plan.recipes[fact.runs[0]]): fact for fact in facts}))
