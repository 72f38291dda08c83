"""Writes text in ASCII in as many terminal columns as it had, so that what was laid out stays where it is."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

from engine.catalog.arm_marks import MARKS

UNKNOWN = "?"
"""Stands for each column of a character without a spelling."""

DRAWN = {
    **{mark.char: mark.ascii for mark in MARKS},
    **dict(zip("▁▂▃▄▅▆▇█", "__.-=*##", strict=True)),
    **dict(zip("░▒▓▀▔▌▐", ".:#\"'||", strict=True)),
    **dict(zip("▏▎▍▋▊▉▕", "|||||||", strict=True)),
    **dict(zip("━═┊╱╲╳", "==:/\\x", strict=True)),
    **dict(zip("–—−…·•", "---..*", strict=True)),
    **dict(zip("±×Δ√≤≥≈", "~xD^<>~", strict=True)),
    **dict(zip("←→↑↓⏎⌫▸▾◂▶◀", "<>^v<<>v<><", strict=True)),
    **dict(zip("✓✗◌‖", "+x.=", strict=True)),
    **dict(zip("“”‘’", "\"\"''", strict=True)),
    **dict.fromkeys("⭘⭐", "o"),
    "🔎": "/",
}
"""What the program and its framework draw beside the lines of frames → what is read in its place."""

SIDEWAYS, UPRIGHT = frozenset({"HORIZONTAL", "LEFT", "RIGHT"}), frozenset({"VERTICAL", "UP", "DOWN"})
"""Words in the names of lines."""

LINES = {(True, False): "-", (False, True): "|", (True, True): "+"}
"""Whether a line runs sideways and upright → its spelling."""


class Spellings(dict[int, str]):
    """Holds the spelling of every character that was met so far, by its number, as `str.translate` asks for it."""

    def __missing__(self, code: int) -> str:
        """Find the spelling of a character that is met first."""
        self[code] = spelling = _find_spelling(chr(code))
        return spelling


def _find_spelling(char: str) -> str:
    """Return what stands for one character: as many ASCII characters as it has columns."""
    if char.isascii():
        return char
    width = cell_len(char)
    if width == 0:  # an accent that is a character of its own
        return ""
    spelling = DRAWN.get(char) or _spell_line(char) or unicodedata.normalize("NFKD", char)[0]
    return spelling.ljust(width) if spelling.isascii() else UNKNOWN * width


def _spell_line(char: str) -> str | None:
    """Return the spelling of a line of a frame, or of a crossing of them; None for any other character."""
    words = frozenset(unicodedata.name(char, "").split())
    return LINES.get((bool(words & SIDEWAYS), bool(words & UPRIGHT))) if {"BOX", "DRAWINGS"} <= words else None


SPELLINGS = Spellings()


def spell_cells(text: str) -> str:
    """Return a text in ASCII, each character in as many columns as it had."""
    return text if text.isascii() else text.replace("±: ", "+- ").replace("± ", "+-").translate(SPELLINGS)
