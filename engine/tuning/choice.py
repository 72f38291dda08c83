"""Finds out what a protocol leaves open: which packs are fastest, and how many slots a device carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from engine.dispatch.executors.base import Executor
from engine.dispatch.executors.registry import open_executor
from engine.dispatch.launch import find_folder, plan_protocol
from engine.errors import NondetError
from engine.plan.isolation import note_leaks, repeat_notes
from engine.plan.packing import shows_rounding
from engine.plan.plan import Plan
from engine.plan.records import Packing, PlannedArm
from engine.protocol.definition import Protocol
from engine.protocol.faults import ProtocolError
from engine.recipe import Recipe
from engine.study.choices import NOTHING, Chosen
from engine.study.records import find_record
from engine.study.run_state import lacked_memory
from engine.study.study_plan import StudyPlan
from engine.tuning.messages import FoundPacking, PackQuestion, ProbeAnswers
from engine.tuning.probe import ProbeFacts, ask, list_leaks, probe_plan
from engine.tuning.slot_trial import try_slots

WORTH_S = 120.0
"""Seconds of training on one slot below which slots are not measured: it would take longer than it saves."""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Holds what was found out about a protocol, with nothing left open."""

    plan: Plan
    facts: tuple[ProbeFacts, ...]
    chosen: Chosen
    notes: tuple[str, ...] = ()
    """What is to be said of the devices: GPUs left out, or why the CPU is used."""

    def count_slots(self, protocol: Protocol) -> int:
        """Return how many runs or packs are trained side by side."""
        return count_slots(protocol, self.chosen)


def decide(protocol: Protocol, *, store: str | None, timed: bool, counted: bool = False) -> Decided:
    """Find out what is open, then look at the plan that follows; see `probe_plan`.

    What was measured for the study before is not measured again.

    Args:
        protocol: What is to be trained.
        store: The folder of all studies.
        timed: Whether the facts are to hold the time of an epoch.
        counted: Whether they are to hold what each network does with an image.

    Raises:
        NondetError: If the protocol, its data or its models do not work.
    """
    if protocol.command is not None:
        chosen = recall(protocol, store=store)
        notes = tuple(open_chosen(protocol, chosen).notes)
        return Decided(plan=plan_protocol(protocol), facts=(), chosen=chosen, notes=notes)
    chosen = choose_packings(protocol, recall(protocol, store=store))
    plan = plan_protocol(protocol, chosen.packings)
    facts = probe_plan(protocol, plan, timed=timed, counted=counted)
    chosen = choose_slots(protocol, plan, facts, chosen)
    notes = tuple(open_chosen(protocol, chosen).notes)
    return Decided(plan=note_leaks(plan, list_leaks(plan, facts)), facts=facts, chosen=chosen, notes=notes)


def plan_known(protocol: Protocol, chosen: Chosen, *, store: str | None) -> Plan:
    """Return the plan that follows from what was found out about a study before, without a new trial."""
    known = find_record(find_folder(protocol, store=store).plan, StudyPlan)
    return repeat_notes(plan_protocol(protocol, chosen.packings), () if known is None else known.arms)


def recall(protocol: Protocol, *, store: str | None) -> Chosen:
    """Return what was measured for this study, as far as its settings are what they were.

    Other slots leave packs as they are: runs that are done stay of use.
    """
    plan = find_record(find_folder(protocol, store=store).plan, StudyPlan)
    known = NOTHING if plan is None else plan.dispatch.chosen
    dispatch = protocol.dispatch
    devices = name_devices(protocol)
    settings = (dispatch.pack, dispatch.memory_format, dispatch.compile)
    if known.settings != settings:
        known = msgspec.structs.replace(known, settings=settings, packings={})
    if dispatch.slots_per_device != "auto" or known.devices != devices:
        known = msgspec.structs.replace(known, devices=devices, slots_per_device=None, slot_trials=(), slot_limit=None)
    return shrink_packs(protocol, known, store=store)


def name_devices(protocol: Protocol) -> str:
    """Return the devices that a protocol names, in one line."""
    devices = protocol.dispatch.devices
    return devices if isinstance(devices, str) else " ".join(devices)


def shrink_packs(protocol: Protocol, known: Chosen, *, store: str | None) -> Chosen:
    """Halve packs whose runs ran out of memory while they were trained, where their size was not asked for.

    A pack's size is part of its runs' identity: the smaller pack's are other runs.
    """
    paths = find_folder(protocol, store=store)
    while protocol.dispatch.pack == "auto" and known.packings:
        plan = plan_protocol(protocol, known.packings)
        short = {
            key: known.packings[key]
            for arm in plan.arms
            if (key := plan.stackings[arm.name].pack_key) is not None
            and key in known.packings
            and any(lacked_memory(paths.run(run)) for run in arm.runs)
        }
        smaller = {key: _halve(packing) for key, packing in short.items() if packing.size > 1}
        if not smaller:
            break
        known = msgspec.structs.replace(known, packings={**known.packings, **smaller})
    return known


def _halve(packing: Packing) -> Packing:
    size = packing.size // 2
    reason = f"packs of {packing.size} ran out of memory" if size == 1 else None
    return msgspec.structs.replace(packing, size=size, reason=reason)


def count_slots(protocol: Protocol, chosen: Chosen) -> int:
    """Return how many runs or packs are trained side by side."""
    return len(open_chosen(protocol, chosen).places)


def open_chosen(protocol: Protocol, chosen: Chosen) -> Executor:
    """Make a protocol's executor with the slots that were chosen, where the protocol leaves them open."""
    per_device = chosen.slots_per_device or protocol.dispatch.slots_per_device
    return open_executor(replace(protocol.dispatch, slots_per_device=per_device))


def choose_packings(protocol: Protocol, known: Chosen) -> Chosen:
    """Try packs of the runs of which nothing is known yet.

    Raises:
        NondetError: If data or models do not work.
    """
    plan = plan_protocol(protocol, known.packings)
    unknown = _find_unknown(protocol, plan, known)
    if not unknown:
        return known
    slots = count_slots(protocol, known)
    questions = [_make_question(protocol, plan, arms, slots=slots) for arms in unknown.values()]
    found = dict(zip(unknown, _try_packs(protocol, questions), strict=True))
    return msgspec.structs.replace(known, packings={**known.packings, **found})


def _try_packs(protocol: Protocol, questions: Sequence[PackQuestion]) -> list[Packing]:
    """Return how the runs of each question are best trained: alone, where the process that tries packs comes to an end.

    Raises:
        ProtocolError: If data or models do not work.
    """
    try:
        return [answer.packing for answer in ask(protocol, questions, ProbeAnswers[FoundPacking])]
    except ProtocolError:
        raise
    except NondetError as error:  # killed for want of memory, or crashed in a kernel: the others' answers are lost, too
        if len(questions) > 1:
            return [packing for question in questions for packing in _try_packs(protocol, [question])]
        last = str(error).splitlines()[-1].strip()
        return [Packing(size=1, reason=f"packs could not be tried: {last}")]


def _find_unknown(protocol: Protocol, plan: Plan, known: Chosen) -> dict[str, list[PlannedArm]]:
    """Return the arms whose runs may be packed and of which nothing is known yet, by the key of their packings."""
    groups: dict[str, list[PlannedArm]] = {}
    for arm in plan.arms:
        key = plan.stackings[arm.name].pack_key
        if key is None or key in known.packings:
            continue
        if protocol.dispatch.pack == "auto" or _may_refuse(plan.recipes[arm.runs[0]]):
            groups.setdefault(key, []).append(arm)
    return groups


def _make_question(protocol: Protocol, plan: Plan, arms: Sequence[PlannedArm], *, slots: int) -> PackQuestion:
    """Return what is to be found out about arms whose runs may share packs."""
    dispatch = protocol.dispatch
    return PackQuestion(
        recipe=replace(plan.recipes[arms[0].runs[0]], pack=None),
        shared_batch=plan.stackings[arms[0].name].shared_batch,
        sizes=None if dispatch.pack == "auto" else (int(dispatch.pack),),
        runs=len({run for arm in arms for run in arm.runs}),
        slots=slots,
        compiled=dispatch.compile,
        memory_format=dispatch.memory_format,
        strict=any(shows_rounding(arm.vary) for arm in arms),
    )


def _may_refuse(recipe: Recipe) -> bool:
    """Tell whether it takes a trial to know that a network can be stacked: one that is not the project's own."""
    return recipe.model.target is not None or ":" in (recipe.model.preset or "")


def choose_slots(protocol: Protocol, plan: Plan, facts: Sequence[ProbeFacts], chosen: Chosen) -> Chosen:
    """Try how many slots a device carries, with the workload that takes most of the time.

    Only where that is left open, was not measured before, and there is enough to train for it to matter.
    """
    if protocol.dispatch.slots_per_device != "auto" or chosen.slots_per_device is not None:
        return chosen
    most = open_executor(protocol.dispatch).most_slots
    seconds, longest = max(((estimate_s(plan, fact), fact) for fact in facts), key=lambda pair: pair[0])
    if most == 1 or seconds < WORTH_S:
        return chosen
    recipe = plan.recipes[longest.runs[0]]
    packs = max(1, len(longest.runs) // (recipe.pack.size if recipe.pack else 1))
    race = try_slots(protocol, recipe, propose_counts(min(most, packs)))
    chosen = msgspec.structs.replace(chosen, slot_limit=race.limit)
    if not race.trials:
        return chosen
    return msgspec.structs.replace(chosen, slots_per_device=choose_count(race.trials), slot_trials=race.trials)


def estimate_s(plan: Plan, fact: ProbeFacts) -> float:
    """Return the seconds that a workload takes on one slot."""
    return sum(plan.recipes[run].train.epochs for run in fact.runs) * (fact.seconds_per_epoch or fact.seconds_guess)


def propose_counts(most: int) -> list[int]:
    """Return the numbers of slots to try: 1, 2, 4, … and the most."""
    return sorted({2**i for i in range(9) if 2**i < most} | {most})


def choose_count(trials: Sequence[tuple[int, float]]) -> int:
    """Return the fewest slots that come within 5 % of the best."""
    best = max(rate for _, rate in trials)
    return next(slots for slots, rate in sorted(trials) if rate >= 0.95 * best)
