"""Importing a user's "module:function"."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.catalog.modules import find_distrust
from engine.errors import DataError, ModelError, NondetError
from engine.plan.source_files import digest_source, find_sources, find_unseen
from engine.recipe import Recipe


def import_target(target: str, *, search_path: tuple[Path, ...], error: type[NondetError]) -> Callable[..., Any]:
    """Import the function that a target names.

    Args:
        target: "module:function".
        search_path: Folders that are looked through behind the installed packages.
        error: What to raise.

    Raises:
        NondetError: Of the given kind, if the module does not import or has no such function.
    """
    for folder in map(str, search_path):
        if folder not in sys.path:
            sys.path.append(folder)
    module_name, _, attributes = target.partition(":")
    places = ", ".join(map(str, search_path))
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as cause:  # a user's module may raise anything while it is imported
        raise error(
            f"{target}: the module {module_name} does not import ({_say_reason(cause)}): it is looked for among the "
            f"installed packages and in {places}"
        ) from cause
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            names = [name for name in dir(found) if not name.startswith("_") and callable(getattr(found, name))]
            raise error(f"{target}: {module_name} has no {attribute}; it has {', '.join(names) or 'no functions'}")
        found = getattr(found, attribute)
        if isinstance(found, ModuleType) and not found.__name__.startswith(f"{module_name}."):
            raise error(
                f"{target}: leads out of {module_name} into the module {found.__name__}: write a function of "
                f"{module_name} that calls what you need there"
            )
    if not callable(found):
        raise error(f"{target}: is a {type(found).__name__}, it must be a function")
    return found


def refuse_unseen(recipe: Recipe, *, search_path: tuple[Path, ...], before: Collection[str]) -> None:
    """Refuse targets that loaded a module of the user's which their digests do not cover.

    A change there would leave a run's id as it is, and old results would stand for new code.

    Args:
        recipe: What was tried out.
        search_path: Where its targets are looked for.
        before: Names of the modules that were loaded before that.

    Raises:
        ModelError: Or DataError; names the module and its file.
    """
    targets = {ModelError: recipe.model.target, DataError: recipe.data.target}
    covered = tuple(
        file for target in targets.values() if target for file in find_sources(target, search_path=search_path)
    )
    modules = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    loaded = {name: Path(file) for name, file in modules.items() if file is not None and name not in before}
    unseen = find_unseen(covered, loaded) if covered else {}
    if unseen:
        error, target = next((error, target) for error, target in targets.items() if target)
        names = ", ".join(f"{name} ({file})" for name, file in sorted(unseen.items()))
        raise error(
            f"{target}: loads {names} otherwise than by an import statement, so a change there would go unnoticed: "
            f"add `import {min(unseen)}` to the target's module, and keep what it imports beside the protocol"
        )


def refuse_untrusted(recipe: Recipe, *, search_path: tuple[Path, ...], trusted: Collection[str]) -> None:
    """Refuse targets that are neither beside the protocol nor trusted by it, before any of them is imported.

    A protocol is checked for that when it is read; what a study folder says may come from anywhere.

    Raises:
        ModelError: If the model's target is not to be imported.
        DataError: If the data's target is not to be imported.
    """
    for part, error in ((recipe.model, ModelError), (recipe.data, DataError)):
        if part.target is None:
            continue
        distrust = find_distrust(part.target, search_path=search_path, trusted=trusted)
        if distrust is not None:
            raise error(f"{part.target}: {': '.join(distrust)}, and run the protocol again")


def check_unchanged(recipe: Recipe, *, search_path: tuple[Path, ...]) -> None:
    """Refuse to train with source files that are not what the run was planned with.

    Raises:
        ModelError: If the model's target has changed.
        DataError: If the data's target has changed.
    """
    for part, error in ((recipe.model, ModelError), (recipe.data, DataError)):
        if part.target is not None and digest_source(part.target, search_path=search_path) != part.target_sha256:
            raise error(
                f"{part.target}: its source files have changed since this run was planned: run the protocol again, "
                "which plans new runs for the changed ones"
            )


def call_target(function: Callable[..., Any], target: str, error: type[NondetError], **arguments: Any) -> Any:
    """Call a user's function, and turn whatever it raises into an error that names it."""
    try:
        return function(**arguments)
    except NondetError:
        raise
    except (Exception, SystemExit) as cause:  # a user's function may raise anything
        call = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        said = _say_reason(cause) if isinstance(cause, SystemExit) else f"it raised {_say_reason(cause)}"
        raise error(f"{target}: called as {target.partition(':')[2]}({call}) {said}") from cause


def _say_reason(cause: BaseException) -> str:
    """Say what a user's code raised, or that it wanted to end the program."""
    if isinstance(cause, SystemExit):
        return f"it called sys.exit({'' if cause.code is None else repr(cause.code)})"
    return f"{type(cause).__name__}: {cause}"
