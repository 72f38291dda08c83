"""Tries how many training processes a device carries side by side."""

from __future__ import annotations

from collections.abc import Sequence

from engine.dispatch.executors.registry import open_executor
from engine.dispatch.jobs import race_job
from engine.errors import NondetError
from engine.protocol.definition import Protocol
from engine.recipe import Recipe
from engine.tuning.asking import ask_job, describe_surroundings
from engine.tuning.messages import RaceAnswer, RaceRequest, RivalRequest


def try_slots(protocol: Protocol, recipe: Recipe, counts: Sequence[int]) -> RaceAnswer:
    """Let 1, 2, … processes train the same recipe at once on one device of the protocol's executor.

    Args:
        protocol: Where the data and the user's modules are.
        recipe: What is trained.
        counts: How many at once, in growing order.

    Returns:
        Each count that all processes survived, with the epochs per second of all processes together, and what ended the
        trial before its time: another process's end, or that of the process that starts them.
    """
    rival = RivalRequest(surroundings=describe_surroundings(protocol), recipe=recipe)
    request = RaceRequest(rival=rival, counts=tuple(counts))
    job = race_job(stall_s=protocol.dispatch.allowed_stall_s)
    try:
        return ask_job(open_executor(protocol.dispatch), job, request, RaceAnswer)
    except NondetError as error:
        return RaceAnswer(trials=(), limit=str(error).splitlines()[-1])
