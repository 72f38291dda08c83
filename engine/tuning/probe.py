"""Asks a training process whether a plan's data and models work, how large they are and how long they take.

What only torch can tell (a user's module, a data set's files) is found out in a process of its own, before
anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.dispatch.executors.registry import open_executor
from engine.dispatch.jobs import probe_job
from engine.plan.packing import shows_rounding
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import Fault, ProtocolError
from engine.recipe import Recipe
from engine.tuning.asking import ask_job, describe_place


@dataclass(frozen=True, kw_only=True)
class ProbeFacts:
    """Describes one workload of a plan: what its runs have in common but seeds."""

    arms: tuple[str, ...]
    runs: tuple[str, ...]
    model: str
    data: str
    parameters: int
    train_examples: int
    test_examples: int
    input_shape: tuple[int, ...]
    classes: int
    stochastic: bool
    """Whether the model has dropout or other random layers."""
    seconds_per_epoch: float | None
    """Training and evaluation on one slot; None where it was not timed."""
    seconds_guess: float
    """An epoch's time after one untimed step: its order of magnitude."""
    seconds_load: float
    memory_bytes: int
    lowlevel_empty: bool | None
    """Whether free kernels repeat bit for bit on this device, so that `lowlevel` is empty; None without such runs."""
    pack_size: int | None = None
    """Replicas trained at once; None where runs are trained alone."""
    slot_invariant: bool | None = None
    """Whether a run has the same bits in every slot of a pack; None without packs."""
    size_invariant: bool | None = None
    """Whether a pack of one gives the same bits; None without packs."""


@dataclass(frozen=True)
class Workload:
    """Says what a training process is asked about."""

    recipe: Recipe
    trial: dict[str, Any] | None = None
    """How packs of it are to be tried, see `engine.training.trials.pack_sizes.Question`; None asks for facts."""


def probe_plan(protocol: Protocol, plan: Plan, *, timed: bool) -> tuple[ProbeFacts, ...]:
    """Build every data set and model of a plan once, in a process like those that will train them.

    Args:
        protocol: Where the data and the user's modules are.
        plan: The runs.
        timed: Whether to train for about a second per workload to see how long an epoch takes.

    Raises:
        ProtocolError: If a data set, model, target or perturbed parameter does not work.
        NondetError: If the training process itself fails.
    """
    workloads = _group(plan)
    answers = ask(protocol, [Workload(_representative(plan, runs)) for runs in workloads], timed=timed)
    facts = tuple(_facts(plan, runs, answer) for runs, answer in zip(workloads, answers, strict=True))
    faults = [fault for fact in facts if fact.slot_invariant is False for fault in _slot_faults(protocol, plan, fact)]
    if faults:
        raise ProtocolError(protocol.file, faults)
    return facts


def ask(protocol: Protocol, workloads: Sequence[Workload], *, timed: bool) -> list[dict[str, Any]]:
    """Ask training processes for the facts about some workloads, and return the answers in the same order.

    Raises:
        ProtocolError: If a data set, model, target or perturbed parameter does not work.
        NondetError: If the training process itself fails.
    """
    executor = open_executor(protocol.dispatch)
    request = describe_place(protocol) | {"timed": timed}
    found: dict[int, dict[str, Any]] = {}
    for numbers in _separate(workloads):
        asked = [{"recipe": msgspec.to_builtins(workloads[n].recipe), "trial": workloads[n].trial} for n in numbers]
        said = ask_job(executor, probe_job(), request | {"workloads": asked}, "answers")
        found |= zip(numbers, said, strict=True)
    answers = [found[number] for number in range(len(workloads))]
    faults = [_fault(protocol, w.recipe, a) for w, a in zip(workloads, answers, strict=True) if "error" in a]
    if faults:
        raise ProtocolError(protocol.file, dict.fromkeys(faults))
    return answers


def _separate(workloads: Sequence[Workload]) -> list[tuple[int, ...]]:
    """Share workloads out to processes: what a user's code leaves behind must not reach another's.

    Returns:
        Numbers of the workloads that go to one process.
    """
    groups: dict[Any, list[int]] = {}
    for number, workload in enumerate(workloads):
        recipe = workload.recipe
        groups.setdefault((recipe.data, recipe.model) if recipe.runs_user_code else None, []).append(number)
    return [tuple(numbers) for numbers in groups.values()]


def _slot_faults(protocol: Protocol, plan: Plan, fact: ProbeFacts) -> list[Fault]:
    """Return the fault of the first arm that shows rounding alone where a run's bits depend on its slot."""
    return [
        Fault(
            "dispatch.pack",
            f"in packs of {fact.pack_size}, {fact.model} gets other bits in other slots on this device, and "
            f"{arm.name} {'shows rounding' if arm.vary else 'is a control'}",
            "use pack = 1 here, or another size",
            str(protocol.dispatch.pack),
        )
        for arm in plan.arms
        if arm.name in fact.arms and shows_rounding(arm.vary)
    ][:1]


def _group(plan: Plan) -> list[tuple[str, ...]]:
    """Group run ids by workload: same data, model, training, and parameter to move."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for run_id, recipe in plan.recipes.items():
        groups.setdefault(_workload(recipe), []).append(run_id)
    return [tuple(runs) for runs in groups.values()]


def _workload(recipe: Recipe) -> tuple[Any, ...]:
    return (recipe.data, recipe.model, recipe.train, recipe.pack)


def _representative(plan: Plan, runs: tuple[str, ...]) -> Recipe:
    """Return the run of a workload with most that can go wrong: a moved bit's parameter, free kernels."""
    recipes = [plan.recipes[run] for run in runs]
    return max(recipes, key=lambda recipe: (recipe.lowlevel == "kernels", recipe.bit is not None))


def _fault(protocol: Protocol, recipe: Recipe, answer: dict[str, Any]) -> Fault:
    """Return the fault at the key that caused it."""
    part = {"data": recipe.data, "model": recipe.model}.get(answer["part"])
    if answer["part"] == "device":
        return Fault("dispatch.devices", answer["error"], answer["remedy"])
    if answer["part"] == "batch":
        return Fault("train.batch_size", answer["error"], answer["remedy"], str(recipe.train.batch_size))
    if answer["part"] == "pack":
        return Fault("dispatch.pack", answer["error"], answer["remedy"], str(protocol.dispatch.pack))
    if part is None:
        return Fault("bit.parameter", answer["error"], answer["remedy"], json.dumps(protocol.bit.parameter))
    key = "target" if part.target is not None else "preset"
    return Fault(f"{answer['part']}.{key}", answer["error"], answer["remedy"], json.dumps(part.target or part.preset))


def _facts(plan: Plan, runs: tuple[str, ...], answer: dict[str, Any]) -> ProbeFacts:
    recipe = plan.recipes[runs[0]]
    return ProbeFacts(
        arms=tuple(arm.name for arm in plan.arms if set(arm.runs) & set(runs)),
        runs=runs,
        model=recipe.model.preset or recipe.model.target or "",
        data=recipe.data.preset or recipe.data.target or "",
        parameters=answer["parameters"],
        train_examples=answer["train_examples"],
        test_examples=answer["test_examples"],
        input_shape=tuple(answer["input_shape"]),
        classes=answer["classes"],
        stochastic=answer["stochastic"],
        seconds_per_epoch=answer["seconds_per_epoch"],
        seconds_guess=answer["seconds_guess"],
        seconds_load=answer["seconds_load"],
        memory_bytes=answer["memory_bytes"],
        lowlevel_empty=answer["lowlevel_empty"],
        pack_size=None if recipe.pack is None else recipe.pack.size,
        slot_invariant=answer["slot_invariant"],
        size_invariant=answer["size_invariant"],
    )
