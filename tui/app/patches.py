"""Work-arounds for the framework, each with the issue that makes it unnecessary."""

from __future__ import annotations

import codecs
import signal
import termios
from collections.abc import Callable
from typing import Any

from textual.drivers import linux_driver


def survive_stray_bytes() -> None:
    """Keep bytes that are no UTF-8 from ending the app.

    After a tmux reattach, mouse reports come in the X10 encoding: beyond column 95 a raw byte above 0x7F, which Textual
    8.2.8 decodes strictly. https://github.com/Textualize/textual/issues/6668; remove when PR 6696 is released.
    """

    def make_decoder(encoding: str) -> Callable[[], Any]:
        return lambda: codecs.getincrementaldecoder(encoding)(errors="replace")

    linux_driver.getincrementaldecoder = make_decoder  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]


def end_on_hangup() -> None:
    """Let a hang-up end the app even where it was started with hang-ups ignored, as below nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def end_without_terminal() -> None:
    """End the app as a hang-up would, where the terminal is gone and no hang-up signal has come.

    Textual 8.2.8 takes the end of its input for a lack of input, and reads again at once, for ever.
    """
    try:
        termios.tcgetattr(0)
    except (OSError, termios.error):
        signal.raise_signal(signal.SIGHUP)
