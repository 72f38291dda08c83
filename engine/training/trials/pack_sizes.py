"""Tries packs of several sizes to find the fastest one, as `pack = "auto"` asks for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

import torch
from msgspec.structs import replace

from engine.catalog import presets
from engine.plan.records import Packing
from engine.recipe import MAX_PACK
from engine.training.memory import try_in_memory
from engine.training.trials.pack_validity import check_pack, find_stacking_fault
from engine.training.trials.step_times import fill_memory, time_pack
from engine.training.trials.workbench import Workbench
from engine.tuning.messages import PackQuestion

TRIAL_S = 0.5
"""How long the steps of a size are timed for."""

LEAST_GAIN = 0.9
"""Share of the time of single runs that a pack has to stay below: otherwise runs keep the bits that they have alone."""

PATIENCE = 2
"""Sizes in a row that are no better than the best, after which larger ones are not tried."""

NO_ROOM = "packs do not fit into memory here"

COPIES = 8
"""Sizes of a network's parameters that a replica takes: weights, gradients, momentum, its model; and activations."""


def choose_packing(
    question: PackQuestion, bench: Workbench, time_alone: Callable[[], float], *, parameters: int
) -> Packing:
    """Choose how to train some runs.

    Args:
        question: Which runs.
        bench: What they are tried out on.
        time_alone: Seconds per epoch of a run by itself.
        parameters: The number of the network's parameters.
    """
    pair = question.pack(2)
    found = try_in_memory(lambda: [find_stacking_fault(pair, bench)])
    fault = NO_ROOM if found is None else found[0]
    if fault is not None:
        return Packing(size=1, reason=fault)
    if question.sizes is not None and len(question.sizes) == 1:
        return Packing(size=question.sizes[0], channels_last=question.memory_format == "channels-last")
    room = _count_replicas_in_memory(bench.device, parameters)
    sizes = question.sizes or propose_sizes(question.runs, question.slots)
    trials = [(1, time_alone())]
    too_large = _try_sizes(question, bench, sizes, trials, room=room)
    fitting = list(trials)
    while (size := choose_size(fitting, runs=question.runs, slots=question.slots)) > 1:
        packing = _refine(question, bench, size, trials)
        if packing is not None:
            return replace(packing, too_large=too_large)
        too_large = size
        fitting = [trial for trial in fitting if trial[0] < size]
    reason = NO_ROOM if sizes and len(fitting) == 1 else "packs are not faster here"
    return Packing(size=1, reason=reason, trials=tuple(trials), too_large=too_large)


def propose_sizes(runs: int, slots: int) -> list[int]:
    """Return sizes in growing order that leave no slot idle at the end: all runs in 1, 2, 4, 8, … rounds."""
    sizes = {math.ceil(runs / (slots * 2**halvings)) for halvings in range(12)}
    return sorted(size for size in sizes if 1 < size <= MAX_PACK)


def choose_size(trials: list[tuple[int, float]], *, runs: int, slots: int) -> int:
    """Choose the size that ends first.

    Args:
        trials: Size, and seconds per epoch and replica; 1 is a run alone.
        runs: How many have to be trained.
        slots: How many packs are trained side by side.
    """
    cost = {size: count_rounds(runs, size, slots) * size * seconds for size, seconds in trials}
    best = min(cost, key=lambda size: (cost[size], size))
    return best if cost[best] <= LEAST_GAIN * cost[1] else 1


def count_rounds(runs: int, size: int, slots: int) -> int:
    """Count the packs that the busiest slot trains one after another; one that is not full takes as long."""
    return math.ceil(math.ceil(runs / size) / slots)


def _try_sizes(
    question: PackQuestion, bench: Workbench, sizes: Sequence[int], trials: list[tuple[int, float]], *, room: int
) -> int | None:
    """Add the seconds per epoch and replica of growing sizes, until they do not get better or do not fit.

    Args:
        question: Which runs.
        bench: What they are tried out on.
        sizes: In growing order.
        trials: Where they are added.
        room: Replicas that memory holds by a reckoning; larger packs are not tried.

    Returns:
        The size that did not fit; None where all that were tried did.
    """
    best, worse = math.inf, 0
    for size in sizes:
        seconds = None
        if size <= room:
            seconds = try_in_memory(lambda size=size: time_pack(question.pack(size), bench, timed_s=TRIAL_S))
        if seconds is None:
            return size
        trials.append((size, seconds))
        worse = 0 if seconds < best else worse + 1
        best = min(best, seconds)
        if worse == PATIENCE:
            return None
    return None


def _refine(question: PackQuestion, bench: Workbench, size: int, trials: list[tuple[int, float]]) -> Packing | None:
    """Find the memory format of a chosen size, and test it; return None where the test does not fit into memory."""
    channels_last = question.memory_format == "channels-last"
    if question.memory_format == "auto" and _has_convolutions(question):
        turned = question.pack(size, channels_last=True)
        seconds = try_in_memory(lambda: time_pack(turned, bench, timed_s=TRIAL_S))
        channels_last = seconds is not None and seconds <= LEAST_GAIN * dict(trials)[size]
    recipe = question.pack(size, channels_last=channels_last)
    if question.strict or bench.device.type == "cuda":  # what is tested before training has to fit, too
        report = try_in_memory(lambda: check_pack(recipe, bench))
        if report is None or try_in_memory(lambda: [fill_memory(recipe, bench)]) is None:
            return None
        if question.strict and not report.slot_invariant:
            return Packing(size=1, reason="packs give other bits in other slots on this device", trials=tuple(trials))
    return Packing(size=size, channels_last=channels_last, trials=tuple(trials))


def _has_convolutions(question: PackQuestion) -> bool:
    facts = presets.find_model(question.recipe.model.preset)
    return question.recipe.train.bptt is None and not (facts is not None and facts.flat)


def _count_replicas_in_memory(device: torch.device, parameters: int) -> int:
    """Return how many replicas half of the free memory holds; on CUDA a size that does not fit says so by itself."""
    if device.type == "cuda":
        return MAX_PACK
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, free // 2 // (4 * COPIES * parameters))
