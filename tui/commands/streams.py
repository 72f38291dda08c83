"""Makes standard input, output and error fit to be used, whatever the program was started with."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SPELLED = {
    **{"–": "-", "−": "-", "—": "-", "±": "+-", "×": "x", "…": "...", "·": "*", "→": "->", "≤": "<=", "≥": ">="},
    **{"“": '"', "”": '"', "’": "'", "\u00a0": " "},
}
"""What stands for a character where the output's encoding has not got it."""

COERCED = "C.UTF-8"
"""What Python itself puts into LC_CTYPE where the locale is C."""


def asks_for_ascii(environment: Mapping[str, str]) -> bool:
    """Tell whether the locale says that a terminal shows no UTF-8; one that nobody has set says nothing.

    Python writes UTF-8 in the locale C too, and says so in LC_CTYPE.
    """
    ctype = environment.get("LC_CTYPE", "")
    named = environment.get("LC_ALL") or ("" if ctype == COERCED else ctype) or environment.get("LANG") or COERCED
    return "utf8" not in named.lower().replace("-", "")


def prepare_streams() -> None:
    """Open what was closed when the program started, and spell what an encoding or a terminal cannot show.

    A file that were opened in the place of a closed stream would be written into by whatever prints.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open
    if sys.stderr is sys.__stderr__:
        raw = ForgetfulFile(2, "w", closefd=False)
        sys.stderr = TextIOWrapper(BufferedWriter(raw), encoding=sys.stderr.encoding, line_buffering=True)
    codecs.register_error("spelled", spell)
    ascii_wanted = asks_for_ascii(os.environ)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            encoding = "ascii" if ascii_wanted and stream.isatty() else None
            stream.reconfigure(errors="spelled", encoding=encoding)


class ForgetfulFile(FileIO):
    """Loses what cannot be written: a full disk behind standard error ends neither a command nor its exit code."""

    def write(self, content: ReadableBuffer, /) -> int:
        """Write, and say that all of it was written where there is no room for it."""
        try:
            return super().write(content)
        except BrokenPipeError:
            raise
        except OSError:
            return memoryview(content).nbytes


def spell(error: UnicodeError) -> tuple[str, int]:
    """Return what is written instead of characters that an encoding has not got, and where to go on.

    A character without a spelling is escaped with four or eight digits, as JSON and Python do it.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from tui.text.ascii_cells import DRAWN  # noqa: PLC0415 - few outputs need it

    rest = error.object[error.start : error.end]
    return "".join(SPELLED.get(char) or DRAWN.get(char) or _escape(char) for char in rest), error.end


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def forget_output() -> None:
    """Let what is still to be written to standard output go nowhere: whoever read it has gone, or it has no room."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
