"""Says in which epoch replicas part, as far as the digests of their weights tell."""

from __future__ import annotations

from engine.protocol.faults import printable
from engine.study.parting import Parting, Partings

MOST_EPOCHS = 3
"""Epochs that are told one by one."""


def say_since(parting: Parting) -> str:
    """Say since when two replicas differ, as the end of a sentence."""
    since = "before the first step" if parting.epoch == 0 else f"from epoch {parting.epoch} on"
    return f"replicas {parting.replicas[0]} and {parting.replicas[1]} differ {since}"


def describe_broken_control(arm: str, study: str, partings: Partings | None) -> str | None:
    """Say that replicas differ between which nothing varies, and what finds the reason; None where they do not.

    Args:
        arm: The arm's name.
        study: The study, as a command takes it.
        partings: Of an arm in which nothing varies; None of others.
    """
    first = None if partings is None else partings.first
    if first is None:
        return None
    one, other = first.replicas
    return (
        f"{printable(arm)}: {say_since(first)}, and nothing varies between them: "
        f"`nondet-tui diverge {printable(study)}:{printable(arm)} {one} {other}` finds what does"
    )


def describe_partings(partings: Partings) -> str:
    """Say when the pairs of an arm part, in a few words."""
    parts: list[str] = []
    told = sorted(partings.epochs)[:MOST_EPOCHS]
    for epoch in told:
        count = partings.epochs[epoch]
        pairs = "1 pair" if count == 1 else f"{count:,} pairs"
        parts.append(f"{pairs} {'before the first step' if epoch == 0 else f'in epoch {epoch}'}")
    later = sum(count for epoch, count in partings.epochs.items() if epoch not in told)
    parts += [f"{later:,} later"] if later else []
    if partings.equal:
        pairs = "1 pair never" if partings.equal == 1 else f"{partings.equal:,} pairs never"
        parts.append(f"{pairs} in {partings.compared} epoch{'' if partings.compared == 1 else 's'}")
    parts += [f"{len(partings.unknown)} without digests"] if partings.unknown else []
    return ", ".join(parts) or "nothing to compare"
