"""Asks a training process whether a plan's data and models work, how large they are and how long they take.

What only torch can tell (a user's module, a data set's files) is found out in a process of its own, before
anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from engine.dispatch.executors.registry import open_executor
from engine.dispatch.jobs import probe_job
from engine.errors import NondetError
from engine.plan.isolation import find_leak, network_key
from engine.plan.packing import shows_rounding
from engine.plan.plan import Plan
from engine.plan.records import Leak, PlannedArm
from engine.protocol.definition import Protocol
from engine.protocol.faults import Fault, ProtocolError
from engine.recipe import Recipe
from engine.tuning.asking import ask_job, describe_surroundings
from engine.tuning.messages import (
    A,
    DataDigest,
    DataQuestion,
    Facts,
    FactsQuestion,
    KernelDigests,
    KernelsQuestion,
    Part,
    ProbeAnswers,
    ProbeRequest,
    Question,
    Refusal,
)


class ProbeFacts(Facts, frozen=True, kw_only=True):
    """Describes one workload of a plan: what its runs have in common but seeds."""

    arms: tuple[str, ...]
    runs: tuple[str, ...]
    model: str
    data: str
    pack_size: int | None = None
    """Replicas trained at once; None where runs are trained alone."""
    lowlevel_empty: bool | None = None
    """Whether free kernels gave the same bits in several processes, so that `lowlevel` is empty; None where that was
    not asked, or found no answer."""


KERNEL_PROCESSES = 3
"""Processes in which free kernels have to agree: each chooses its kernels anew, by timing them."""


def probe_plan(protocol: Protocol, plan: Plan, *, timed: bool, counted: bool = False) -> tuple[ProbeFacts, ...]:
    """Build every data set and model of a plan once, in a process like those that will train them.

    Args:
        protocol: Where the data and the user's modules are.
        plan: The runs.
        timed: Whether to train for about a second per workload to see how long an epoch takes.
        counted: Whether to count what each network does with an image.

    Raises:
        ProtocolError: If a data set, model, target or perturbed parameter does not work.
        NondetError: If the training process itself fails.
    """
    workloads = _group(plan)
    recipes = [_representative(plan, runs) for runs in workloads]
    networks = [network_key(recipe) for recipe in recipes]
    loaded = find_first_loads(recipes) if timed else frozenset[int]()
    questions = [
        FactsQuestion(
            recipe=recipe,
            timed=timed,
            isolation=key not in networks[:number],
            counted=counted,
            digested=number in loaded,
        )
        for number, (recipe, key) in enumerate(zip(recipes, networks, strict=True))
    ]
    answers = ask(protocol, questions, ProbeAnswers[Facts])
    _require_same_data(protocol, {recipes[number]: answers[number].data_sha256 for number in loaded})
    facts = tuple(
        _name_facts(plan, runs, answer, lowlevel_empty=_judge_kernels(protocol, recipe, answer))
        for runs, recipe, answer in zip(workloads, recipes, answers, strict=True)
    )
    faults = [fault for fact in facts if fact.slot_invariant is False for fault in _slot_faults(protocol, plan, fact)]
    faults += _isolation_faults(protocol, plan, list_leaks(plan, facts))
    if faults:
        raise ProtocolError(protocol.file, faults)
    return facts


def find_first_loads(recipes: Sequence[Recipe]) -> frozenset[int]:
    """Return the first of those recipes, by their numbers, that load each data set of a user's function.

    Each is what its process loads first: what a function returns when it is called again there does not matter: every
    run of a training has a process of its own.
    """
    found: dict[tuple[Any, ...], int] = {}
    for number, recipe in enumerate(recipes):
        data = recipe.data
        if data.target is not None:
            found.setdefault((data.target, data.target_sha256, data.train_size), number)
    return frozenset(found.values())


def _require_same_data(protocol: Protocol, digests: Mapping[Recipe, str | None]) -> None:
    """Let another process load each data set of a user's function once more, and compare.

    Raises:
        ProtocolError: If a function returned other examples there.
    """
    for recipe, first in digests.items():
        (again,) = ask(protocol, [DataQuestion(recipe=recipe)], ProbeAnswers[DataDigest])
        if again.data_sha256 != first:
            key, value = _find_key(protocol, recipe, "data")
            problem = "returns other examples from process to process, and every run is one: its runs would fail"
            remedy = "give every draw in it a seed, and put what it reads from a folder or a set in order"
            raise ProtocolError(protocol.file, [Fault(key, problem, remedy, value)])


def _judge_kernels(protocol: Protocol, recipe: Recipe, facts: Facts) -> bool | None:
    """Tell whether free kernels give the same bits in every process; None without them, or where one process failed."""
    if facts.kernel_digests is None:
        return None
    seen = set(facts.kernel_digests)
    for _ in range(KERNEL_PROCESSES - 1):
        if len(seen) > 1:
            return False
        try:
            (found,) = ask(protocol, [KernelsQuestion(recipe=recipe)], ProbeAnswers[KernelDigests])
        except NondetError:
            return None
        seen |= set(found.digests)
    return len(seen) == 1


def list_leaks(plan: Plan, facts: Sequence[ProbeFacts]) -> dict[str, Leak]:
    """Return the leaks between sources that were found, by the key of data and network."""
    return {network_key(plan.recipes[fact.runs[0]]): fact.leak for fact in facts if fact.leak is not None}


def ask(protocol: Protocol, questions: Sequence[Question], answers_type: type[ProbeAnswers[A]]) -> list[A]:
    """Ask training processes some questions.

    Args:
        protocol: Where the data and the user's modules are.
        questions: All of one type.
        answers_type: What answers them, `ProbeAnswers[Facts]` for instance.

    Raises:
        ProtocolError: If a data set, model, target or perturbed parameter does not work.
        NondetError: If a training process itself fails.
    """
    executor, surroundings = open_executor(protocol.dispatch), describe_surroundings(protocol)
    job = probe_job(stall_s=protocol.dispatch.allowed_stall_s)
    said: dict[int, A | Refusal] = {}
    for numbers in _separate(questions):
        request = ProbeRequest(surroundings=surroundings, questions=tuple(questions[number] for number in numbers))
        said |= zip(numbers, ask_job(executor, job, request, answers_type).answers, strict=True)
    answers: list[A] = []
    faults: list[Fault] = []
    for number, question in enumerate(questions):
        answer = said[number]
        if isinstance(answer, Refusal):
            faults.append(_find_fault(protocol, question.recipe, answer))
        else:
            answers.append(answer)
    if faults:
        raise ProtocolError(protocol.file, dict.fromkeys(faults))
    return answers


def _separate(questions: Sequence[Question]) -> list[tuple[int, ...]]:
    """Share questions out to processes: what a user's code leaves behind must not reach another's.

    Returns:
        Numbers of the questions that go to one process.
    """
    groups: dict[Any, list[int]] = {}
    for number, question in enumerate(questions):
        recipe = question.recipe
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


def _isolation_faults(protocol: Protocol, plan: Plan, leaks: Mapping[str, Leak]) -> list[Fault]:
    """Return a fault for each network in which sources leak into each other, with the arms that do not allow for it."""
    allowing = {arm.name for arm in protocol.arms if arm.allow_unisolated}
    refused: dict[Leak, list[PlannedArm]] = {}
    for arm in plan.arms:
        leak = find_leak(plan, arm, leaks)
        if leak is not None and arm.group == 1 and arm.name not in allowing:
            refused.setdefault(leak, []).append(arm)
    faults: list[Fault] = []
    for leak, arms in refused.items():
        recipe = plan.recipes[arms[0].runs[0]]
        key, value = _find_key(protocol, recipe, "model")
        names = ", ".join(arm.name for arm in arms)
        remedy = (
            "let torch's own operations draw, for each example by itself, or set model.allow_unisolated = true, which "
            "every table then repeats"
        )
        faults.append(Fault(key, f"is not isolated in {names}: {leak.reason}", remedy, value))
    return faults


def _group(plan: Plan) -> list[tuple[str, ...]]:
    """Group run ids by workload: same data, model, training, and parameter to move."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for run_id, recipe in plan.recipes.items():
        groups.setdefault(_workload(recipe), []).append(run_id)
    return [tuple(runs) for runs in groups.values()]


def _workload(recipe: Recipe) -> tuple[Any, ...]:
    return (recipe.data, recipe.model, recipe.train, recipe.pack, recipe.compiled)


def _representative(plan: Plan, runs: tuple[str, ...]) -> Recipe:
    """Return the run of a workload with most that can go wrong: a moved bit's parameter, free kernels."""
    recipes = [plan.recipes[run] for run in runs]
    return max(recipes, key=lambda recipe: (recipe.lowlevel == "kernels", recipe.bit is not None))


def _find_fault(protocol: Protocol, recipe: Recipe, refusal: Refusal) -> Fault:
    """Return the fault at the key that caused it."""
    key, value = _find_key(protocol, recipe, refusal.part)
    return Fault(key, refusal.error, refusal.remedy, value)


def _find_key(protocol: Protocol, recipe: Recipe, part: Part) -> tuple[str, str | None]:
    """Return the key of a part of a recipe, and its value as TOML writes it; None where that says nothing."""
    match part:
        case "device":
            return "dispatch.devices", None
        case "batch":
            return "train.batch_size", str(recipe.train.batch_size)
        case "pack":
            return "dispatch.pack", str(protocol.dispatch.pack)
        case "compile":
            return "dispatch.compile", "true"
        case "bit":
            return "bit.parameter", json.dumps("first" if recipe.bit is None else recipe.bit.parameter)
        case "data" | "model":
            named = recipe.data if part == "data" else recipe.model
            key = "target" if named.target is not None else "preset"
            return f"{part}.{key}", json.dumps(named.target or named.preset)


def _name_facts(plan: Plan, runs: tuple[str, ...], facts: Facts, *, lowlevel_empty: bool | None) -> ProbeFacts:
    """Return the facts of a workload with the names of what they are about."""
    recipe = plan.recipes[runs[0]]
    return ProbeFacts(
        **asdict(facts),
        arms=tuple(arm.name for arm in plan.arms if set(arm.runs) & set(runs)),
        runs=runs,
        model=recipe.model.name,
        data=recipe.data.name,
        pack_size=None if recipe.pack is None else recipe.pack.size,
        lowlevel_empty=lowlevel_empty,
    )
