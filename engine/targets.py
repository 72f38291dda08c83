"""Finding the source file of a user's "module:function" without importing it."""

from __future__ import annotations

import hashlib
import importlib.machinery
from pathlib import Path


def find_source(target: str, *, search_path: tuple[Path, ...]) -> Path | None:
    """The file that holds a target's module, looked up in the search path's folders and nowhere else.

    Modules that are installed rather than lying beside the protocol give None: their versions are the
    environment's, which each attempt records.
    """
    module = target.partition(":")[0].split(".")
    folders = [str(folder) for folder in search_path]
    for depth, name in enumerate(module, start=1):
        spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is None:
            return None
        if depth == len(module):
            return Path(spec.origin) if spec.origin else None
        folders = list(spec.submodule_search_locations or [])
    return None


def digest_source(target: str | None, *, search_path: tuple[Path, ...]) -> str | None:
    """SHA-256 of the target's source file; None where there is no target or no file beside the protocol."""
    source = None if target is None else find_source(target, search_path=search_path)
    return None if source is None else hashlib.sha256(source.read_bytes()).hexdigest()
