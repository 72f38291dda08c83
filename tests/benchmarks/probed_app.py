"""The program with a probe in its event loop: `probed_app.py FILE ARGUMENTS...`.

A line of FILE for everything that kept the loop for a millisecond or longer: when it began on the steady clock, and for
how long. A key that comes meanwhile is not seen before the end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import tui.cli

LEAST_S = 0.001


def watch_loop(path: Path) -> None:
    """Write down what keeps the loop."""
    file = path.open("w", buffering=1)
    run = asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        started = time.monotonic()
        run(self)
        taken = time.monotonic() - started
        if taken >= LEAST_S:
            file.write(f"{started} {taken}\n")

    asyncio.Handle._run = timed


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    sys.argv[1:] = arguments
    watch_loop(Path(name))
    sys.exit(tui.cli.main())
