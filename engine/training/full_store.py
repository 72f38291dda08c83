"""Writing to a store that may be full for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from engine.errors import StoreFullError

LOG = logging.getLogger(__name__)

STORE_PATIENCE_S = 30.0
"""How long a finished computation waits for room on a full store before its worker gives up."""

T = TypeVar("T")


def patiently(write: Callable[[], T]) -> T:
    """Write as soon as there is room, so that a full disk costs no finished training.

    Raises:
        StoreFullError: If there is still no room after STORE_PATIENCE_S.
    """
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            return write()
        except StoreFullError as error:
            if time.monotonic() > deadline:
                raise
            LOG.warning("%s; waiting for it", error)
            time.sleep(1.0)
