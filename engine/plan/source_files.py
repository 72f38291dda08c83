"""Finds and digests the source files of a user's "module:function" without importing any of them.

A target is its own package and every module that it imports, directly or through others, as long as that module is
the user's: beside the protocol, or installed from a folder that is being worked on. What lies in the environment's
own folders is told by its version, which each attempt records; the target's own package is read even there.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.catalog.modules import find_spec, is_environments

SUFFIXES = (".py", ".so")
"""The endings of those files of a package that are code."""


def find_sources(target: str, *, search_path: tuple[Path, ...]) -> tuple[Path, ...]:
    """Find every source file that a target consists of.

    Names are looked up as Python does it: among what is installed, then in the search path's folders. Imports that
    are not statements cannot be seen; see `find_unseen`.

    Args:
        target: "module:function".
        search_path: Folders that are looked through behind the installed packages.

    Returns:
        Sorted; empty where the module is not found or is the standard library's.
    """
    own = target.partition(":")[0].partition(".")[0]
    found: dict[str, tuple[Path, ...]] = {}
    waiting = [own]
    while waiting:
        name = waiting.pop()
        if name in found or name in sys.stdlib_module_names:
            continue
        files = _list_files(name, search_path)
        if name != own and files and is_environments(files[0]):
            files = ()
        found[name] = files
        waiting += {imported for file in files for imported in _list_imports(file)}
    return tuple(sorted({file for files in found.values() for file in files}))


def digest_source(target: str | None, *, search_path: tuple[Path, ...]) -> str | None:
    """Digest everything that a target consists of; None where there is no target, or no file of it.

    The files count with their names below the folder that holds their package, so that a folder may be moved.
    """
    files = () if target is None else find_sources(target, search_path=search_path)
    if not files:
        return None
    lines = sorted(f"{_short_name(file)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def find_unseen(covered: tuple[Path, ...], loaded: dict[str, Path]) -> dict[str, Path]:
    """Find the loaded modules that belong to the user and are not among the files of a target.

    Args:
        covered: The files that `find_sources` returned.
        loaded: Module → its file, of modules that were loaded since the target was imported.
    """
    known = {file.resolve() for file in covered}
    return {name: file for name, file in loaded.items() if not is_environments(file) and file.resolve() not in known}


def _list_files(name: str, search_path: tuple[Path, ...]) -> tuple[Path, ...]:
    """List the source files of a top-level module or package."""
    spec = find_spec(name, search_path)
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
        files = [file for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES]
        return tuple(sorted(file for file in files if file.is_file()))
    return (Path(spec.origin),) if spec.origin is not None and Path(spec.origin).is_file() else ()


def _list_imports(file: Path) -> Iterator[str]:
    """List the top-level names that a file imports, anywhere in it; relative imports stay in its own package."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return  # importing it says what is wrong
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module.partition(".")[0]


def _short_name(file: Path) -> str:
    """Return the name of a file below the folder that holds its package."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return file.relative_to(folder).as_posix()
