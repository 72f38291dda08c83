"""Tests in a few steps, before a study is written, whether packs may replace single runs on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine.catalog import presets
from engine.errors import NondetError, summarise_error
from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.memory import is_out_of_memory
from engine.training.recording.repeater import WARM_UP_STEPS
from engine.training.tasks.stacked_images import StackedImageTask
from engine.training.trials.step_times import number_replica, number_replicas, train_steps
from engine.training.trials.workbench import Workbench

STEPS = 3

RECORDED_STEPS = WARM_UP_STEPS + 3

CLOSE = 1e-2
"""Relative difference between a replica's logits in a pack and alone that kernels may be apart, TF32's too."""

Weights = list[dict[str, Tensor]]


@dataclass(frozen=True)
class PackReport:
    """Tells what the self-test of a pack saw."""

    slot_invariant: bool
    """The same run has the same bits in every slot, whatever is trained beside it."""
    size_invariant: bool
    """… and in a pack of one: then packs of all sizes are one protocol here."""
    replay_equal: bool | None
    """Recorded steps give the bits of steps taken one by one; None where steps are not recorded."""


def check_pack(recipe: Recipe, bench: Workbench) -> PackReport:
    """Train the first steps of some replicas in other slots, beside other replicas, and by themselves.

    Args:
        recipe: A recipe with a pack.
        bench: What the steps are trained on.
    """
    assert recipe.pack is not None, "only packs are tested"
    replicas = number_replicas(recipe)

    def weights(recipes: Sequence[Recipe], *, steps: int = STEPS, recorded: bool = False) -> Weights:
        task = bench.prepare_pack(recipes, graphs=recorded)
        train_steps(task, steps)
        return [task.pack.state_of(slot) for slot in range(task.pack.size)]

    usual = weights(replicas)
    moved = weights([*replicas[1:], replicas[0]])
    filled = weights(replicas[:1])
    one = weights([replace(replicas[0], pack=replace(recipe.pack, size=1))])
    slots = all(_equal(usual[slot], moved[slot - 1]) for slot in range(len(replicas)))
    replay = None
    if bench.graphs and bench.device.type == "cuda" and isinstance(bench.data, Dataset):
        by_hand, repeated = (weights(replicas, steps=RECORDED_STEPS, recorded=recorded) for recorded in (False, True))
        replay = all(map(_equal, by_hand, repeated))
    return PackReport(
        slot_invariant=slots and all(_equal(usual[0], other) for other in filled),
        size_invariant=_equal(usual[0], one[0]),
        replay_equal=replay,
    )


def find_stacking_fault(recipe: Recipe, bench: Workbench) -> str | None:
    """Say why a network cannot be stacked; None where it can.

    The project's own can. Another is tried: a step of two replicas, and their logits against those that each
    computes alone. What a module holds beside parameters and buffers is not stacked, and would be the first one's.

    Args:
        recipe: A recipe with a pack of any size.
        bench: What the step is trained on.
    """
    if not presets.may_be_stochastic(recipe.model.preset) or not isinstance(bench.data, Dataset):
        return None
    assert recipe.pack is not None, "only packs are tested"
    two = replace(recipe, pack=replace(recipe.pack, size=2))
    state = _find_state(two, bench)
    if state is not None:
        return state
    try:
        task = bench.prepare_pack(number_replicas(two), graphs=False)
        assert isinstance(task, StackedImageTask), "the data are images"
        train_steps(task, 1)
        difference = _compare_logits(task, bench.data)
    except NondetError:
        raise
    except Exception as cause:  # whatever a user's module or torch.func makes of the other
        if is_out_of_memory(cause):
            raise
        return f"torch.func cannot stack its model: {summarise_error(cause)}"
    if difference > CLOSE:
        return "its model computes something else when stacked: replicas differ in more than parameters and buffers"
    return None


def _find_state(recipe: Recipe, bench: Workbench) -> str | None:
    """Say why a user's function cannot build several replicas in one process; None where it can.

    A replica is built before and after another one: it must have the same weights both times, in memory of its own.
    """
    models = [bench.prepare_single(number_replica(recipe, seed)).model for seed in (1, 2, 1)]
    addresses = [{parameter.data_ptr() for parameter in model.parameters()} for model in models]
    if any(one & other for one, other in itertools.combinations(addresses, 2)):
        return "its function gives the same parameters to several replicas"
    first, again = models[0].state_dict(), models[2].state_dict()
    if first.keys() != again.keys() or not _equal(first, again):
        return "its function gives other weights when it is called again with the same seed"
    return None


def _compare_logits(task: StackedImageTask, data: Dataset) -> float:
    """Return the largest relative difference between stacked and single networks on some test examples."""
    stored = data.test_inputs[:8]
    task.pack.eval()
    with torch.no_grad():
        stacked = task.pack(data.feed(stored))
        return max(_relative(stacked[slot], _single(task, slot)(data.feed(stored))) for slot in range(task.pack.size))


def _single(task: StackedImageTask, slot: int) -> nn.Module:
    model, _ = task.pack.member(slot, task.models[slot], task.recipe.train)
    return model.eval()


def _relative(one: Tensor, other: Tensor) -> float:
    scale = float(other.abs().max()) or 1.0
    return float((one - other).abs().max()) / scale


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())
