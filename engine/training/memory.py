"""Recognises errors that mean a lack of memory, and errors after which a process cannot be used any more."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

import torch

from engine.errors import read_text
from engine.recipe import Recipe
from engine.training.allocator import give_freed_memory_back

T = TypeVar("T")

MEMORY_PHRASES = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""Of torch's allocator on CPUs, of CUDA outside torch's allocator, of cuBLAS and cuDNN: plain RuntimeErrors."""

CONTEXT_PHRASES = ("CUDA error", "cuDNN error")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or what led to it, is a lack of memory.

    A CUDA graph whose recording runs out of memory ends in another error, raised while the first was handled.
    """
    return any(
        isinstance(one, (MemoryError, torch.OutOfMemoryError))
        or (isinstance(one, RuntimeError) and any(phrase in read_text(one) for phrase in MEMORY_PHRASES))
        for one in _chain(error)
    )


def breaks_context(error: BaseException) -> bool:
    """Tell whether an error leaves a CUDA context that is of no further use; torch's own lack of room does not."""
    return any(
        isinstance(one, torch.AcceleratorError)
        or (isinstance(one, RuntimeError) and any(phrase in read_text(one) for phrase in CONTEXT_PHRASES))
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its cause, that one's cause, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def try_in_memory(work: Callable[[], T]) -> T | None:
    """Return what some work returns; None where memory runs out, after giving back what the work had taken."""
    try:
        return work()
    except Exception as error:  # torch.compile and users' modules turn a lack of memory into errors of many types
        if not is_out_of_memory(error):
            raise
    release()  # not while the error is handled: its frames still refer to the tensors
    return None


def release() -> None:
    """Give memory back that nothing refers to."""
    gc.collect()
    torch.cuda.empty_cache()
    give_freed_memory_back()


def explain_shortage(
    recipe: Recipe, reason: str, *, side_by_side: int = 1
) -> tuple[Literal["memory", "infrastructure"], str]:
    """Say whether a run that ran out of memory is to be tried again, and why.

    A run alone may have met another process's memory. A pack is not tried again: its size is part of each run's
    identity, so no worker can make it smaller.

    Args:
        recipe: The recipe of the run.
        reason: The error, in a line.
        side_by_side: How many runs without a pack were trained at once.
    """
    if recipe.pack is None and side_by_side > 1:
        problem = f"{side_by_side} runs side by side do not fit: they are tried again with fewer"
        return "infrastructure", f"out of memory: {problem} ({reason})"
    if recipe.pack is None:
        remedy = f"use a smaller train.batch_size than {recipe.train.batch_size}, or fewer dispatch.slots_per_device"
        return "infrastructure", f"out of memory: {reason}: {remedy}"
    size = recipe.pack.size
    return "memory", f"out of memory: a pack of {size} does not fit: use pack = {size // 2} ({reason})"
