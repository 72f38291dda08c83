"""Watches a program: at once what needs no torch, the rest when the program imports torch or numpy."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

from .seeds import SeedWatch, fix_time
from .wanted import read_wanted

OLDEST = 2
"""The first version of torch that has what watches it."""


def begin(path: Path) -> dict[str, Any]:
    """Begin to watch, and return what has to be done after the import of which package.

    Args:
        path: The file that says what is wanted.
    """
    wanted = read_wanted(path)
    (Path(wanted.folder) / f"python-{os.getpid()}").touch()
    seeds = SeedWatch(fixed="seeds" in wanted.fixed)
    seeds.watch(random, "seed", "random.seed")
    if "time" in wanted.fixed:
        fix_time()

    def watch_torch() -> None:
        """Begin to watch torch, which is imported."""
        version = str(sys.modules["torch"].__version__)
        if int(version.split(".", maxsplit=1)[0]) < OLDEST:
            (Path(wanted.folder) / f"old-{version}").touch()
            return
        from .watcher import Watcher  # noqa: PLC0415 - imports torch, which the program has done now

        Watcher(wanted, seeds).attach()

    def watch_numpy() -> None:
        """Begin to watch the seeds of numpy, which is imported."""
        module = sys.modules["numpy"].random
        seeds.watch(module, "seed", "numpy.random.seed")
        seeds.watch(module, "default_rng", "numpy.random.default_rng")

    return {"torch": watch_torch, "numpy": watch_numpy}
