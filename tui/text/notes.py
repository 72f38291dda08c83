"""Says in lines of text what a person has said of a study."""

from __future__ import annotations

from collections.abc import Iterable

from engine.protocol.faults import printable
from engine.study.notes import NoteRecord


def format_tags(tags: Iterable[str]) -> str:
    """Return tags as they are shown and looked for."""
    return " ".join(f"#{printable(tag)}" for tag in tags)


def list_said(note: NoteRecord) -> list[str]:
    """Return a line of tags, then the lines of the note, all harmless; nothing where nothing is said."""
    return [*filter(None, [format_tags(note.tags)]), *map(printable, note.text.strip().splitlines())]
