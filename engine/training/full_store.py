"""Writing to a store that may be full, closed or away for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from engine.errors import StoreUnavailableError
from engine.study.store_trouble import StoreTrouble

TROUBLE = StoreTrouble(logging.getLogger(__name__))
"""Of this process, whatever it writes."""

STORE_PATIENCE_S = 30.0
"""How long a finished computation waits for a store that is full, closed or away before its worker gives up."""

T = TypeVar("T")


def patiently(write: Callable[[], T]) -> T:
    """Write as soon as the store lets us: a full disk or a lost permission costs no finished training.

    Raises:
        StoreUnavailableError: If it still does not after STORE_PATIENCE_S.
    """
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            written = write()
        except StoreUnavailableError as error:
            if time.monotonic() > deadline:
                raise
            TROUBLE.note(error, f"{error}; waiting for it")
            time.sleep(1.0)
        else:
            TROUBLE.end()
            return written
