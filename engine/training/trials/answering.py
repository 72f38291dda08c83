"""Answers on standard output in a process that runs users' code, whatever that code prints."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from typing import TextIO


@contextlib.contextmanager
def answer_on_stdout() -> Generator[TextIO]:
    """Yield the stream that answers go to; what else is printed, by C code too, goes to standard error from here on."""
    answers_to = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answers_to, "w", buffering=1) as out, contextlib.redirect_stdout(sys.stderr):
        yield out
