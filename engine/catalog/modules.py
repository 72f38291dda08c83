"""Finds where a module lies and whether it may be imported for a target; nothing is imported here.

A target is a protocol's "module:function". Its module lies beside the protocol file, or the protocol names it under
[trust]: what else is installed has functions that fetch, write and run what their arguments say.
"""

from __future__ import annotations

import importlib.util
import json
import sysconfig
from collections.abc import Collection
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import engine

INSTALLED = ("site-packages", "dist-packages")
"""Names of the folders that packages are installed into."""


def find_spec(name: str, search_path: Collection[Path]) -> ModuleSpec | None:
    """Find a top-level module as Python does: among what is installed, then in some folders; None where it is not."""
    try:
        # The name is a top-level one, so nothing is imported to find it.
        installed = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        installed = None
    return installed or PathFinder.find_spec(name, [str(folder) for folder in search_path])


def is_environments(file: Path) -> bool:
    """Tell whether a file belongs to the environment: the standard library, an installed package, this program."""
    parents = file.resolve().parents
    own = {Path(engine.__file__).resolve().parent, *map(Path, map(sysconfig.get_path, ("stdlib", "platstdlib")))}
    return any(folder in own or folder.name in INSTALLED for folder in parents)


def find_distrust(target: str, *, search_path: Collection[Path], trusted: Collection[str]) -> tuple[str, str] | None:
    """Say why a target is not to be imported.

    A link beside the protocol that leads elsewhere makes nothing lie beside it: the module that it leads to has to be
    named like any other.

    Args:
        target: "module:function".
        search_path: The folder of the protocol file.
        trusted: Modules that the protocol names under [trust]; what is inside of one is trusted with it.

    Returns:
        What is wrong with it, as the end of a sentence, and what to do; None where it may be imported, or is not found.
    """
    module = target.partition(":")[0]
    if any(module == name or module.startswith(f"{name}.") for name in trusted):
        return None
    top = module.partition(".")[0]
    spec = find_spec(top, search_path)
    if spec is None:
        return None
    problem = _find_problem(spec, module, search_path)
    if problem is None:
        return None
    places = " or ".join(map(str, search_path))
    remedy = (
        f"name a function of a module in {places}, or, if you know this code and want it run, add a section [trust] "
        f"with modules = {json.dumps([module])}"
    )
    return problem, remedy


def find_file(target: str, *, search_path: Collection[Path]) -> Path | None:
    """Find the file of a target's module; None where there is none, as for what is part of Python itself."""
    module = target.partition(":")[0]
    spec = find_spec(module.partition(".")[0], search_path)
    return None if spec is None else _files(_chain(spec, module)[-1])[0]


def _find_problem(spec: ModuleSpec, module: str, search_path: Collection[Path]) -> str | None:
    top = spec.name
    files = _files(spec)
    if files == (None,):
        return f"is not beside the protocol: {top} is part of Python"
    for place in files:
        if place is not None and not any(_lies_in(place, folder) for folder in search_path):
            hidden = [name for folder in search_path for name in (folder / f"{top}.py", folder / top) if name.exists()]
            first = f", and it comes before {hidden[0]}, which needs another name" if hidden else ""
            return f"is not beside the protocol: {top} is {place}{first}"
    for step in _chain(spec, module):
        for file in _files(step):
            if file is not None and not _is_own(file, search_path):
                return f"is not beside the protocol: {file} is a link to {file.resolve()}"
    return None


def _chain(spec: ModuleSpec, module: str) -> list[ModuleSpec]:
    """Return the specs from a top-level package down to one of its modules, as far as there are any."""
    chain = [spec]
    for depth in range(2, module.count(".") + 2):
        name = ".".join(module.split(".")[:depth])
        below = chain[-1].submodule_search_locations
        found = None if below is None else PathFinder.find_spec(name, list(below))
        if found is None:
            break
        chain.append(found)
    return chain


def _files(spec: ModuleSpec) -> tuple[Path | None, ...]:
    """Return the file of a module; the folders of a package without one; None for what is part of Python."""
    if spec.has_location and spec.origin is not None:
        return (Path(spec.origin),)
    folders = spec.submodule_search_locations
    return tuple(Path(folder) for folder in folders) if folders else (None,)


def _lies_in(place: Path, folder: Path) -> bool:
    """Tell whether a top-level module, or the package whose __init__ it is, lies directly in a folder."""
    holder = place.parent.parent if place.stem == "__init__" else place.parent
    return holder.resolve() == folder.resolve()


def _is_own(file: Path, search_path: Collection[Path]) -> bool:
    """Tell whether a file really is below one of some folders, wherever links lead, and not installed there."""
    real = file.resolve()
    below = [real.relative_to(home).parts for folder in search_path if real.is_relative_to(home := folder.resolve())]
    return any(not set(parts) & set(INSTALLED) for parts in below)
