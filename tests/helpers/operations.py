"""Counts what a process asks of the file system, so that a test can say how much work a look is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass
class Operations:
    """How often something was asked for."""

    opened: int = 0
    """Files opened, also those that are not there."""
    listed: int = 0
    """Folders listed."""
    stats: int = 0
    """Calls of os.stat, which Path.stat makes too."""


_counting: list[Operations] = []


def _note(event: str, _: tuple[Any, ...]) -> None:
    for one in _counting:
        one.opened += event == "open"
        one.listed += event in ("os.listdir", "os.scandir")


sys.addaudithook(_note)  # the interpreter keeps it until it ends, so there is one for all tests


@contextlib.contextmanager
def count_operations() -> Generator[Operations]:
    """Count until the end of the block."""
    operations, original = Operations(), os.stat

    def stat(*arguments: Any, **keywords: Any) -> os.stat_result:
        operations.stats += 1
        return original(*arguments, **keywords)

    _counting.append(operations)
    try:
        with mock.patch.object(os, "stat", stat):
            yield operations
    finally:
        _counting.remove(operations)
