"""Tries how many training processes a device carries side by side."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.dispatch.executors.registry import open_executor
from engine.dispatch.jobs import race_job
from engine.protocol.definition import Protocol
from engine.recipe import Recipe
from engine.tuning.asking import ask_job, describe_place


def try_slots(protocol: Protocol, recipe: Recipe, counts: Sequence[int]) -> list[tuple[int, float]]:
    """Measure how fast 1, 2, … processes train the same recipe at once on one device of the protocol's executor.

    Args:
        protocol: Where the data and the user's modules are.
        recipe: What is trained.
        counts: How many at once, in growing order.

    Returns:
        Each count that all processes survived, with the epochs per second of all processes together. An epoch of a
        pack counts once for each of its runs.

    Raises:
        NondetError: If the process that starts them fails itself.
    """
    told = describe_place(protocol) | {"recipe": msgspec.to_builtins(recipe)}
    answer = ask_job(open_executor(protocol.dispatch), race_job(), {"told": told, "counts": list(counts)}, "trials")
    return [(int(count), float(rate)) for count, rate in answer]
