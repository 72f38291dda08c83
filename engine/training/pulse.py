"""Signs of life of a training: a thread beside it says every few seconds that it lives, and when it last moved on.

The training itself only counts its steps. What the thread writes is a small file of each attempt; nothing that is
trained depends on it. A training that stands still in a user's code is said to do so, with file and line.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from engine.study.beats import BEAT_S, make_beat, write_beat

FILES_AT_ONCE = 16
"""The files that are written at every beat; more of them are written as much less often."""

STILL_S = 1.0
"""A training that has not moved on for so long is looked at, to say where it stands."""


class Pulse:
    """Beats for the training of some attempts, from the thread in which it is made, until its context is left."""

    def __init__(
        self,
        list_files: Callable[[], Sequence[Path]],
        search_path: Sequence[Path],
        *,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Take note of what to write.

        Args:
            list_files: Returns the beats' files; a cohort grows while it is gathered.
            search_path: Where the user's code is.
            also: Done at every beat, and once at the end.
        """
        self.also = also
        self.list_files, self.search_path = list_files, tuple(str(folder) + "/" for folder in search_path)
        self.steps, self.epochs, self.slowest_s, self.moved = 0, 0, 0.0, time.monotonic()
        self._training = threading.get_ident()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="pulse", daemon=True)

    def move(self) -> None:
        """Count a step of the training, or of waiting where that was asked for."""
        now = time.monotonic()
        if self.steps and now - self.moved > self.slowest_s:
            self.slowest_s = now - self.moved
        self.moved = now
        self.steps += 1

    def end_epoch(self) -> None:
        """Count an epoch that has ended."""
        self.epochs += 1

    def __enter__(self) -> Pulse:
        """Write the first beat, and start a thread for the others that takes no signals: they are the training's."""
        self._beat()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, so that nothing is written for an attempt that has ended."""
        self._ended.set()
        self._thread.join(BEAT_S)  # a store that does not answer keeps nobody
        self.also()

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_S * max(1.0, len(self.list_files()) / FILES_AT_ONCE)):
            self._beat()
            self.also()

    def _beat(self) -> None:
        still = time.monotonic() - self.moved >= STILL_S
        place = self._find_place() if still else None
        beat = make_beat(moved=self.moved, steps=self.steps, epochs=self.epochs, slowest_s=self.slowest_s, place=place)
        for file in self.list_files():
            write_beat(file, beat)

    def _find_place(self) -> str | None:
        """Return where in the user's code the training is; None where it is in none."""
        frame: FrameType | None = sys._current_frames().get(self._training)  # pyright: ignore[reportPrivateUsage]
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self.search_path) and "/site-packages/" not in file and not file.startswith(ENGINE):
                return f"user's code, {Path(file).name} line {frame.f_lineno} ({frame.f_code.co_name})"
            frame = frame.f_back
        return None


ENGINE = str(Path(__file__).parents[1]) + "/"
"""The folder of the program's own code, which may lie below a user's."""
