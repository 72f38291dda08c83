"""Copying through the terminal: OSC 52, through tmux where it is in between, never more than terminals take."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

LIMIT_BYTES = 4096
"""The longest encoded text: some terminals drop a longer sequence without a message."""

TIMEOUT_S = 3.0


def encode_osc52(text: str) -> str | None:
    """Return the sequence that asks a terminal to copy; None where it would be too long to be sure of."""
    encoded = base64.b64encode(text.encode()).decode()
    return f"\x1b]52;c;{encoded}\x07" if len(encoded) <= LIMIT_BYTES else None


def encode_notice(text: str, *, tmux: bool) -> str:
    """Return the sequence that shows a desktop notice (OSC 9), wrapped so that tmux passes it on."""
    plain = "".join(char for char in text if char.isprintable())
    notice = f"\x1b]9;{plain}\x07"
    return f"\x1bPtmux;{notice.replace(chr(27), chr(27) * 2)}\x1b\\" if tmux else notice


def copy_with_tmux(text: str) -> bool:
    """Hand the text to tmux, which passes it to the terminal outside; return whether that worked."""
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def copy(text: str, *, tmux: bool, send: Callable[[str], None], beside: Path) -> str:
    """Copy a text: through tmux, else through the terminal, else into a file; return what is told of it.

    Args:
        text: The text.
        tmux: Whether tmux is in between.
        send: Sends a sequence to the terminal.
        beside: The file that a text becomes which is too long for the terminal.
    """
    if tmux and copy_with_tmux(text):
        return f"copied {len(text)} characters through tmux"
    sequence = encode_osc52(text)
    if sequence is not None:
        send(sequence)
        return f"copied {len(text)} characters"
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(text)
    return f"too long to copy through the terminal: saved as {beside}"
