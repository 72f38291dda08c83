"""Readings beside the event loop: one at a time, as two would count the same epochs twice."""

from __future__ import annotations

from collections.abc import Callable


class Reading:
    """Starts a reading unless one is going on; what is asked for meanwhile is read once that has ended.

    All of it belongs to the event loop: the thread that reads tells its end by a message.
    """

    def __init__(self, start: Callable[[], object]) -> None:
        """Take what starts a reading in a thread."""
        self.start = start
        self.going_on, self._asked = False, False

    def ask(self) -> None:
        """Read now, or once more after what is going on: something may have changed after it was looked at."""
        if self.going_on:
            self._asked = True
            return
        self.going_on, self._asked = True, False
        self.start()

    def end(self) -> None:
        """Take note that what went on was read; begin again where somebody asked meanwhile."""
        self.going_on = False
        if self._asked:
            self.ask()

    def fail(self) -> None:
        """Take note that nothing could be read; whoever asked meanwhile sees why."""
        self.going_on, self._asked = False, False
