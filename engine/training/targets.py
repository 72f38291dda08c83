"""Importing a user's "module:function"."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import NondetError


def import_target(target: str, *, search_path: tuple[Path, ...], error: type[NondetError]) -> Callable[..., Any]:
    """The function that a target names.

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
    except Exception as cause:  # a user's module may raise anything while it is imported
        reason = f"{type(cause).__name__}: {cause}"
        raise error(
            f"{target}: the module {module_name} does not import ({reason}): it is looked for among the installed "
            f"packages and in {places}"
        ) from cause
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            names = [name for name in dir(found) if not name.startswith("_") and callable(getattr(found, name))]
            raise error(f"{target}: {module_name} has no {attribute}; it has {', '.join(names) or 'no functions'}")
        found = getattr(found, attribute)
    if not callable(found):
        raise error(f"{target}: is a {type(found).__name__}, it must be a function")
    return found


def call_target(function: Callable[..., Any], target: str, error: type[NondetError], **arguments: Any) -> Any:
    """Call a user's function; whatever it raises becomes an error that names it."""
    try:
        return function(**arguments)
    except NondetError:
        raise
    except Exception as cause:  # a user's function may raise anything
        call = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        reason = f"{type(cause).__name__}: {cause}"
        raise error(f"{target}: called as {target.partition(':')[2]}({call}) it raised {reason}") from cause
