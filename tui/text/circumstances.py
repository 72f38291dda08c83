"""Names what two arms were trained with beside their settings, where that differs: devices, versions, packs."""

from __future__ import annotations

from engine.protocol.faults import printable
from engine.recipe import Recipe
from engine.study.circumstances import Circumstances
from tui.text.format import MISSING


def describe_circumstances(one: Circumstances, other: Circumstances) -> list[str]:
    """Name what differs, as "torch 2.12 and 2.13"; nothing where one arm has no record."""
    if not one or not other:
        return []
    names = [name for name in {**one, **other} if set(one.get(name, ())) != set(other.get(name, ()))]
    return [f"{name} {_list(one, name)} and {_list(other, name)}" for name in names]


def _list(found: Circumstances, name: str) -> str:
    """Return the values that runs have, the most frequent first; how many have each where these are several."""
    counted = found.get(name)
    if not counted:
        return MISSING
    several = len(counted) > 1
    return ", ".join(
        f"{printable(value) or MISSING}{f' ({count})' if several else ''}" for value, count in counted.most_common()
    )


def describe_packs(one: Recipe | None, other: Recipe | None) -> list[str]:
    """Say how many replicas one training had at once, where two arms differ in that."""
    if one is None or other is None or one.pack == other.pack:
        return []
    sizes = ["one by one" if recipe.pack is None else f"{recipe.pack.size} at once" for recipe in (one, other)]
    if sizes[0] == sizes[1]:
        return ["replicas were packed otherwise"]
    return [f"replicas trained {sizes[0]} and {sizes[1]}"]
