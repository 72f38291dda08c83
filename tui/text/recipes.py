"""Compares the recipes of two arms in the words of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from engine.protocol.checks import is_table
from engine.recipe import CommandRecipe, Recipe
from tui.text.format import MISSING

COMPARED = ("data", "model", "train", "evaluate", "device")
"""Parts of a recipe that are settings; seeds, bits and what varies make the replicas of one arm."""


def list_settings(recipe: Recipe, parts: Sequence[str] = COMPARED) -> dict[str, object]:
    """Return the settings in some parts of a recipe by their names in the protocol, as "train.epochs"."""
    if recipe.command is not None:
        return _list_command(recipe.command) | {"device": recipe.device}
    content: dict[str, object] = asdict(recipe)
    found: dict[str, object] = {}
    for part in parts:
        found |= _flatten(part, content[part])
    return found


def _list_command(command: CommandRecipe) -> dict[str, object]:
    """Return the settings of a user's own program: its words, its environment, its files, and an arm's arguments."""
    named = {f"arguments.{name}": value for name, value in command.arguments}
    named |= {f"command.environment.{name}": value for name, value in command.environment}
    digest = None if command.files_sha256 is None else command.files_sha256[:12]
    return {"command.run": " ".join(command.words), "command.files": digest, "command.kind": command.kind, **named}


def _flatten(name: str, value: object) -> dict[str, object]:
    """Return the fields of a nested record, with dots between their names."""
    if not is_table(value):
        return {name: value}
    found: dict[str, object] = {}
    for key, one in value.items():
        found |= _flatten(f"{name}.{key}", one)
    return found


def describe_differences(
    one: Recipe | None, other: Recipe | None, *, parts: Sequence[str] = COMPARED, between: str = "and"
) -> list[str]:
    """Name the settings in which two recipes differ, as "train.epochs 12 and 50"; none where one is not known."""
    if one is None or other is None:
        return []
    first, second = (list_settings(recipe, parts) for recipe in (one, other))
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return [f"{name} {_show(first.get(name))} {between} {_show(second.get(name))}" for name in names]


def _show(value: object) -> str:
    return MISSING if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def group_by_settings(arms: Iterable[str], recipes: Mapping[str, Recipe]) -> list[list[str]]:
    """Return the arms that differ in nothing but sources and seeds together, the largest group first.

    Args:
        arms: Their names.
        recipes: The recipe of one run of each; arms without one are taken to be alike.
    """
    groups: dict[object, list[str]] = {}
    for name in arms:
        recipe = recipes.get(name)
        groups.setdefault(None if recipe is None else str(sorted(list_settings(recipe).items())), []).append(name)
    return sorted(groups.values(), key=len, reverse=True)
