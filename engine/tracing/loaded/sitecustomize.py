"""Begins to watch a program when its Python starts: Python imports a module of this name by itself.

The folder is on PYTHONPATH. The user's own `sitecustomize`, if there is one, is executed as it would have been. torch
is not imported: what is watched is put in place when the program imports it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PACKAGE = "_nondet_tracing"
"""Name of the package in the program: `engine` may be a package of the user's."""
VARIABLE = "NONDET_DIVERGE"
"""Names the file that says what is wanted."""


def give_way() -> None:
    """Execute the user's own `sitecustomize` in the place of this one."""
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != FOLDER]
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def load_package() -> None:
    """Make the package of the tracer importable under its other name."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, FOLDER.parent / "__init__.py", submodule_search_locations=[str(FOLDER.parent)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{FOLDER.parent}: the tracer is not there")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


class Waiter:
    """Waits for packages to be imported: a finder that finds nothing by itself."""

    def __init__(self, actions: dict[str, Any]) -> None:
        """Take what is done after the import of each package, by its name."""
        self._actions = actions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return what the other finders say, with the action behind the end of the import.

        A program may look for a package without importing it: the action is used up by the import alone.
        """
        if name not in self._actions:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                execute = spec.loader.exec_module

                def execute_and_act(module: Any, execute: Any = execute) -> None:
                    execute(module)
                    action = self._actions.pop(name, None)
                    if action is not None:
                        action()

                spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
                return spec
        return None


def begin(wanted: str) -> None:
    """Watch this process as the file says."""
    load_package()
    start = importlib.import_module(f"{PACKAGE}.start")
    actions = start.begin(Path(wanted))
    sys.meta_path.insert(0, Waiter(actions))  # type: ignore[arg-type]


if os.environ.get(VARIABLE):
    begin(os.environ[VARIABLE])
    give_way()
