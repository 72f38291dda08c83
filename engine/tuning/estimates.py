"""Estimates what a plan takes on a card that is not there, from what its networks do with an image."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.catalog.work import Estimate, GpuModel, Load, Work, estimate_s
from engine.plan.plan import Plan

Counted = tuple[Work, int, int]
"""What a network does, and the training and test examples of its data."""


def estimate_runs(plan: Plan, counted: Mapping[str, Counted], runs: Collection[str], gpu: GpuModel) -> Estimate | None:
    """Return the seconds of some runs, one after the other; None where one of them was not counted.

    Args:
        plan: Has the recipes.
        counted: By run, what was counted of it.
        runs: Which ones.
        gpu: The card.
    """
    loads: dict[str, Load] = {}
    for run in runs:
        if run not in counted:
            return None
        work, train_examples, test_examples = counted[run]
        train = plan.recipes[run].train
        epoch = work.epoch(train_examples, test_examples, train.batch_size)
        loads[train.precision] = loads.get(train.precision, Load()).plus(epoch, train.epochs)
    parts = [estimate_s(load, gpu, precision) for precision, load in loads.items()]
    return Estimate(least=sum(part.least for part in parts), most=sum(part.most for part in parts))
