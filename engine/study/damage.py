"""Finished runs whose files are not what was written: found by comparing digests, noted beside the run.

Nothing is edited in place: the note names the attempt whose files it is about, so that it says nothing of the
result of a later one. Whoever reads a file of a run may write the note; a store that cannot be written has none.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

from engine.errors import StudyError
from engine.study.files import read_json, write_json
from engine.study.paths import RunPaths

FORMAT = 1
SHOWN_DIGITS = 12
"""Of a digest, in messages."""


def compare_digest(name: str, content: bytes, expected: Any) -> str | None:
    """Compare a file with the digest that its run's result holds.

    Args:
        name: The file's name, for the message.
        content: All of its bytes.
        expected: Hexadecimal SHA-256, as in result.json.

    Returns:
        What is wrong; None where they agree.
    """
    found = hashlib.sha256(content).hexdigest()
    if found == expected:
        return None
    if not isinstance(expected, str):
        return f"result.json holds no digest of {name}"
    shown, wanted = found[:SHOWN_DIGITS], expected[:SHOWN_DIGITS]
    return f"{name} is damaged: its SHA-256 is {shown}…, and {wanted}… was written"


def note_damage(run: RunPaths, result: dict[str, Any], reason: str) -> None:
    """Note what is wrong with a run's files, so that the run counts as failed and can be trained again."""
    with contextlib.suppress(StudyError):
        write_json(run.damage, {"v": FORMAT, "attempt": result.get("attempt"), "reason": reason})


def read_damage(run: RunPaths, result: dict[str, Any]) -> str | None:
    """Read what was found wrong with the files of a result; None where nothing was."""
    note = read_json(run.damage)
    if note is None or note.get("attempt") != result.get("attempt"):
        return None
    return str(note.get("reason"))
