"""Keeps the measures of studies that cannot be written in a folder of this user, so that they are not computed twice.

A study is known there by the content of its plan, wherever it lies. What is kept is as little trusted as what a study
holds: an arm is taken from it only where its files are the ones that were measured.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.errors import StudyError
from engine.study.files import explain_write_errors
from engine.study.opening import read_regular
from engine.study.paths import StudyPaths
from engine.study.study_plan import StudyPlan

MAX_STUDIES = 64
"""How many studies are kept: the ones that were measured last."""


def find_cache(environment: Mapping[str, str]) -> Path | None:
    """Return the folder for the measures of studies; None where this user has no home."""
    base = environment.get("XDG_CACHE_HOME", "")
    home = environment.get("HOME", "")
    if base.startswith("/"):
        return Path(base) / "nondet-tui" / "measures"
    return Path(home) / ".cache" / "nondet-tui" / "measures" if home.startswith("/") else None


def find_copy(paths: StudyPaths, cache: Path | None) -> StudyPaths | None:
    """Return the folder in which the measures of a study are kept; None where there is nowhere to keep them."""
    if cache is None:
        return None
    try:
        plan = read_regular(paths.plan, StudyPlan.max_bytes)
    except OSError:
        return None
    return StudyPaths(cache / hashlib.sha256(plan).hexdigest()[:32])


def make_copy(copy: StudyPaths) -> None:
    """Make the folder in which the measures of a study are kept; the ones that were not used for longest go.

    Raises:
        StudyError: If it cannot be written.
    """
    cache = copy.folder.parent
    with explain_write_errors(cache):
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy.folder.mkdir(mode=0o700, exist_ok=True)
        os.utime(copy.folder)
    with contextlib.suppress(OSError, StudyError):
        kept = sorted(cache.iterdir(), key=lambda folder: -folder.stat().st_mtime)
        for folder in kept[MAX_STUDIES:]:
            shutil.rmtree(folder, ignore_errors=True)
