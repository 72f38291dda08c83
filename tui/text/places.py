"""Says in words where runs are trained: in slots of this machine, or in jobs of a cluster and on which machines."""

from __future__ import annotations

from collections.abc import Sequence

from engine.protocol.faults import printable
from engine.study.supervisor_record import SlotRecord

SHOWN = 3
"""Places that are named one by one."""


def are_jobs(names: Sequence[str]) -> bool:
    """Tell whether places are jobs of a cluster and not slots of this machine."""
    return bool(names) and all(name.startswith("slurm:") for name in names)


def count_training(slots: Sequence[SlotRecord]) -> str:
    """Say how many of a study's places train."""
    what = "jobs" if are_jobs([slot.name for slot in slots]) else "slots"
    return f"{sum(slot.state == 'training' for slot in slots)} of {len(slots)} {what}"


def count_places(names: Sequence[str], *, shown: int = 2, counts: tuple[int, int] | None = None) -> str:
    """Say how many places an executor has, and the names of the first ones.

    Args:
        names: The names of all.
        shown: How many are named.
        counts: The fewest and the most that it may have, where their number is still to be chosen.
    """
    if counts is not None:
        return f"{counts[0]} to {counts[1]} slots, as auto chooses"
    if are_jobs(names):
        return f"{len(names)} {'job' if len(names) == 1 else 'jobs'} of Slurm, waiting in its queue not counted"
    places = f"{len(names)} {'slot' if len(names) == 1 else 'slots'}"
    return f"{places} ({', '.join(names[:shown])}{' …' if len(names) > shown else ''})"


def list_places(slots: Sequence[SlotRecord]) -> list[str]:
    """Return a line for each place that has a job: its number, its machine and what it does."""
    return [
        f"{printable(slot.name)}: {slot.state}{f' on {printable(slot.host)}' if slot.host else ''}, "
        f"job {printable(slot.job)}"
        for slot in slots
        if slot.job is not None
    ]


def list_reasons(slots: Sequence[SlotRecord]) -> list[str]:
    """Return what places wait for, each reason once and without the places' names."""
    return list(dict.fromkeys(printable(slot.message) for slot in slots if slot.message))


def list_waits(slots: Sequence[SlotRecord]) -> list[str]:
    """Return a line for each thing that places wait for, with their names."""
    waits: dict[str, list[str]] = {}
    for slot in slots:
        if slot.message:
            waits.setdefault(printable(slot.message), []).append(printable(slot.name))
    return [f"{_name(names)}: {message}" for message, names in waits.items()]


def _name(names: Sequence[str]) -> str:
    what = "job" if are_jobs(names) else "slot"
    if len(names) == 1:
        return f"{what} {names[0]}"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what}s {', '.join(names[:SHOWN])}{more}"
