"""Turns a protocol into its runs: fixes every seed and setting, shares runs between arms, derives ids from recipes.

The same protocol, device type and target digests always give the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.catalog.sources import SOURCES, Circumstances
from engine.plan.command_plan import CommandPlanner
from engine.plan.packing import NOT_STACKED, Stacking, choose_compiled, stack_arm
from engine.plan.records import Packings, PlannedArm, SelfTest
from engine.protocol.command_section import Command
from engine.protocol.definition import Arm, Protocol
from engine.protocol.faults import Fault, ProtocolError, show_value
from engine.recipe import HASHED_MASKS, BitChange, DataRecipe, DeviceType, LowLevel, ModelRecipe, Onset, Recipe, Seeds

Digest = Callable[[DataRecipe | ModelRecipe], str | None]
"""A function that digests what a recipe names but does not hold: a user's source file, a corpus."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a study trains."""

    study: str
    device: DeviceType
    arms: tuple[PlannedArm, ...]
    stackings: dict[str, Stacking]
    """How the runs of each arm are trained, by its name; of an ensemble, whose members are another arm's, nothing."""
    recipes: dict[str, Recipe]
    """The recipe of each run id, in the order of training: all arms' replica 1, then all arms' replica 2, …"""
    selftest: SelfTest | None = None
    """The runs that test a user's own program; they come first, and some may be of no arm."""

    @property
    def shared(self) -> dict[str, int]:
        """Run id → number of arms that use it, for the runs that more than one arm uses."""
        uses: dict[str, int] = {}
        for arm in self.arms:
            if arm.group > 1:
                continue
            for run in set(arm.runs):
                uses[run] = uses.get(run, 0) + 1
        return {run: count for run, count in uses.items() if count > 1}


def make_plan(
    protocol: Protocol,
    *,
    device: DeviceType,
    digest: Digest = lambda part: None,
    packings: Packings = MappingProxyType({}),
    files_sha256: str | None = None,
) -> Plan:
    """Fix every seed of every run of a protocol.

    Args:
        protocol: A checked protocol.
        device: The kind of device that all runs are trained on; part of each recipe.
        digest: Gives the SHA-256 of a user's target, or of a corpus.
        packings: What trying packs has shown; where it says nothing, `pack = "auto"` counts as 1.
        files_sha256: The digest of the files of a user's own program.

    Raises:
        ProtocolError: Where arms cannot be trained on this kind of device, or vary nothing at all.
    """
    if protocol.command is not None:
        return _plan_command(protocol, protocol.command, device, files_sha256)
    lowlevel = _lowlevel_mode(protocol, device)
    trained = [arm for arm in protocol.arms if arm.ensemble is None]
    empty = {arm.name: _empty_sources(arm, device) for arm in trained}
    faults = _device_faults(protocol, device) + _empty_faults(protocol, empty)
    if faults:
        raise ProtocolError(protocol.file, faults)
    recipes = {
        arm.name: [
            _recipe(protocol, _digested(arm, digest), empty[arm.name], numbers, lowlevel=lowlevel, device=device)
            for numbers in number_replicas(arm)
        ]
        for arm in trained
    }
    stackings: dict[str, Stacking] = {}
    for arm in trained:
        varying = set(arm.vary) - set(empty[arm.name])
        stacking = stack_arm(protocol, arm, recipes[arm.name][0], varying, packings)
        stackings[arm.name] = stacking
        compiled = choose_compiled(protocol, recipes[arm.name][0], stacking.pack)
        recipes[arm.name] = [replace(recipe, pack=stacking.pack, compiled=compiled) for recipe in recipes[arm.name]]
    return Plan(
        study=protocol.name,
        device=device,
        arms=tuple(_plan_arm(arm, recipes, empty) for arm in protocol.arms),
        stackings={arm.name: stackings.get(arm.name, NOT_STACKED) for arm in protocol.arms},
        recipes=_training_order(list(recipes.values())),
    )


def _plan_command(protocol: Protocol, command: Command, device: DeviceType, files_sha256: str | None) -> Plan:
    planner = CommandPlanner(protocol=protocol, command=command, device=device, files_sha256=files_sha256)
    trained = [arm for arm in protocol.arms if arm.ensemble is None]
    recipes = {
        arm.name: [
            planner.make_recipe(arm, replica, numbers)
            for replica, numbers in enumerate(number_replicas(arm, protocol.seeds), start=1)
        ]
        for arm in trained
    }
    selftest, first = planner.make_selftest(recipes)
    return Plan(
        study=protocol.name,
        device=device,
        arms=tuple(_plan_arm(arm, recipes, {}) for arm in protocol.arms),
        stackings={arm.name: NOT_STACKED for arm in protocol.arms},
        recipes={recipe.id: recipe for recipe in first} | _training_order(list(recipes.values())),
        selftest=selftest,
    )


def number_replicas(arm: Arm, sources: Iterable[str] = tuple(SOURCES)) -> list[dict[str, int]]:
    """Return source → seed for every replica of an arm; a crossed arm has a replica for each pair of its two seeds."""
    if not arm.crossed:
        return [dict.fromkeys(sources, replica) for replica in range(1, arm.replicas + 1)]
    (one, rows), (other, columns) = arm.crossed
    return [{one: i, other: j} for i in range(1, rows + 1) for j in range(1, columns + 1)]


def _plan_arm(arm: Arm, recipes: dict[str, list[Recipe]], empty: dict[str, dict[str, str]]) -> PlannedArm:
    if arm.ensemble is None:
        members, group = recipes[arm.name], 1
    else:
        # The groups are disjoint, because ensembles that share members would not be independent replicas.
        members, group = recipes[arm.ensemble.of][: arm.replicas * arm.ensemble.size], arm.ensemble.size
    return PlannedArm(
        name=arm.name,
        vary=arm.vary,
        runs=tuple(recipe.id for recipe in members),
        empty=empty.get(arm.name, {}),
        group=group,
        onset=arm.listed_onset,
        crossed=arm.crossed,
    )


def _training_order(by_arm: list[list[Recipe]]) -> dict[str, Recipe]:
    """Return id → recipe in the order of training: by replica first, so that every arm can soon be compared."""
    longest = max(len(recipes) for recipes in by_arm)
    ordered = [recipes[i] for i in range(longest) for recipes in by_arm if i < len(recipes)]
    return {recipe.id: recipe for recipe in ordered}


def _lowlevel_mode(protocol: Protocol, device: DeviceType) -> LowLevel:
    if protocol.lowlevel.mode == "auto":
        return "kernels" if device == "cuda" else "order"
    return "kernels" if protocol.lowlevel.mode == "kernels" else "order"


def _device_faults(protocol: Protocol, device: DeviceType) -> list[Fault]:
    faults: list[Fault] = []
    if device == "cpu" and protocol.lowlevel.mode == "kernels":
        remedy = 'use mode = "order" or "auto", or run on a CUDA device'
        faults.append(Fault("lowlevel.mode", "needs a CUDA device, and the runs go to the CPU", remedy, '"kernels"'))
    for number, arm in enumerate(protocol.arms, start=1):
        if device == "cpu" and arm.train.precision == "tf32":
            problem = f"exists on CUDA devices only, and arm[{number}] ({show_value(arm.name)}) goes to the CPU"
            faults.append(Fault("train.precision", problem, 'use precision = "fp32"', '"tf32"'))
            break
    for number, arm in enumerate(protocol.arms, start=1):
        if device == "cuda" and protocol.lowlevel.mode != "order" and "lowlevel" in dict(arm.crossed):
            problem = "crosses lowlevel, whose free kernels have no seed that could be repeated"
            remedy = 'use lowlevel.mode = "order", or cross another source'
            faults.append(Fault(f"arm[{number}].crossed", problem, remedy, str(dict(arm.crossed)), arm.name))
    return faults


def _empty_sources(arm: Arm, device: DeviceType) -> dict[str, str]:
    """Return the varying sources that cannot change anything, each with the reason."""
    reasons = {name: SOURCES[name].why_empty(_circumstances(arm, device)) for name in arm.vary}
    return {name: f"{reason}, so this source is empty" for name, reason in reasons.items() if reason is not None}


def _circumstances(arm: Arm, device: DeviceType) -> Circumstances:
    return Circumstances(data=arm.data, model=arm.model, train=arm.train, device=device)


def _empty_faults(protocol: Protocol, empty: dict[str, dict[str, str]]) -> list[Fault]:
    return [
        Fault(
            f"arm[{number}].vary",
            f"varies nothing: {'; '.join(empty[arm.name].values())}",
            "remove the arm, vary another source, or write vary = [] for a control",
            "[" + ", ".join(f'"{name}"' for name in arm.vary) + "]",
            arm.name,
        )
        for number, arm in enumerate(protocol.arms, start=1)
        if arm.name in empty and _is_idle(arm, empty[arm.name])
    ]


def _is_idle(arm: Arm, empty: dict[str, str]) -> bool:
    """Tell whether an arm cannot vary what it should: all of its sources are empty, or one of a crossed pair is."""
    return bool(empty) if arm.crossed else bool(arm.vary) and set(arm.vary) == set(empty)


def _digested(arm: Arm, digest: Digest) -> Arm:
    return replace(
        arm,
        data=replace(arm.data, target_sha256=digest(arm.data)),
        model=replace(arm.model, target_sha256=digest(arm.model)),
    )


def _recipe(
    protocol: Protocol,
    arm: Arm,
    empty: dict[str, str],
    numbers: dict[str, int],
    *,
    lowlevel: LowLevel,
    device: DeviceType,
) -> Recipe:
    """Return the recipe of one replica: sources that vary take their seed from `numbers`, others keep the base seed.

    Source: section 3.1 of the paper, whose runs have the seeds (i, 1, 1), (1, i, 1), …
    """
    varying = [source for source in arm.vary if source not in empty]
    seed = {source: numbers[source] if source in varying else base for source, base in protocol.seeds.items()}
    free_kernels = lowlevel == "kernels" and "lowlevel" in varying
    held: LowLevel = "deterministic" if lowlevel == "kernels" else lowlevel
    bit = _bit_change(arm, numbers["bit"]) if "bit" in varying else None
    seeds, before = (_seeds(arm, values, lowlevel, device) for values in (seed, protocol.seeds))
    # A replica whose seeds are the base seeds never begins to differ: it is the unvaried run.
    late = arm.onset > 0 and (seeds != before or bit is not None or free_kernels)
    return Recipe(
        data=arm.data,
        model=_model(arm, device),
        train=arm.train,
        seeds=seeds,
        lowlevel=lowlevel if free_kernels else held,
        device=device,
        onset=Onset(epoch=arm.onset, seeds=before, lowlevel=held) if late else None,
        bit=bit,
        # Neither a control's repetitions nor free kernels have a seed that tells their replicas apart.
        repeat=numbers["init"] if free_kernels or not arm.vary else None,
        evaluate=arm.evaluate,
        streams=arm.streams,
    )


def _model(arm: Arm, device: DeviceType) -> ModelRecipe:
    """Return an arm's network; on a GPU a language model's masks are computed there."""
    computed = device == "cuda" and arm.train.bptt is not None
    return replace(arm.model, masks=HASHED_MASKS) if computed else arm.model


def _seeds(arm: Arm, seed: dict[str, int], lowlevel: LowLevel, device: DeviceType) -> Seeds:
    """Return the seeds that act on an arm: every source that has one, but for those that are off.

    A source without a field of its name in `Seeds` cannot get lost here: that is a TypeError.
    """
    now = _circumstances(arm, device)
    off = {name for name, source in SOURCES.items() if not source.seed_when_empty and source.why_empty(now) is not None}
    if lowlevel != "order":  # free kernels have no seed
        off.add("lowlevel")
    return Seeds(**{name: None if name in off else value for name, value in seed.items()})  # pyright: ignore[reportArgumentType] - init and shuffle are never off


def _bit_change(arm: Arm, replica: int) -> BitChange:
    return BitChange(seed=replica, parameter=arm.bit.parameter, ulps=arm.bit.ulps, share=float(arm.bit.share) or None)
