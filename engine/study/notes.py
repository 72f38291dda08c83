"""note.json: what a person says of a study, and the tags that it is found by; nothing of it enters any result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from engine.errors import StudyError
from engine.protocol.faults import show_value
from engine.study.paths import StudyPaths
from engine.study.records import Damage, Record, read_record, write_record

MAX_TEXT, MAX_TAG, MAX_TAGS = 4000, 32, 16
"""Characters of a note and of a tag, and tags of a study."""

TAG = r"^[^\W_][\w.+-]*\Z"
TAG_RULE = f"of letters, digits, _ . + and -, at most {MAX_TAG}, and it begins with a letter or digit"

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Tag = Annotated[str, Meta(max_length=MAX_TAG, pattern=TAG)]
Tags = Annotated[tuple[Tag, ...], Meta(max_length=MAX_TAGS)]


class NoteRecord(Record, frozen=True, kw_only=True, tag=1):
    """The content of note.json."""

    max_bytes: ClassVar[int] = 64_000

    text: Text = ""
    """Lines of plain text."""
    tags: Tags = ()


NOTHING = NoteRecord()


def read_note(paths: StudyPaths) -> NoteRecord | Damage:
    """Read what is said of a study; nothing where nobody has said anything, and the damage where it cannot be read."""
    return read_record(paths.note, NoteRecord) or NOTHING


def find_note(paths: StudyPaths) -> NoteRecord:
    """Read what is said of a study; nothing where there is nothing, or it is damaged."""
    return take_note(read_note(paths))


def take_note(found: NoteRecord | Damage) -> NoteRecord:
    """Return what was read of a note; nothing where it is damaged."""
    return NOTHING if isinstance(found, Damage) else found


def describe_damage(damage: Damage) -> str:
    """Say that a note cannot be read, and what can be done."""
    return f"{damage}" if damage.later else f"{damage}; a new note replaces it"


def write_note(paths: StudyPaths, note: NoteRecord) -> None:
    """Replace what is said of a study.

    Raises:
        StudyError: If it is too long, has a tag that is none, or cannot be written; or what is there was written by a
            later version, or cannot be seen.
    """
    found = read_record(paths.note, NoteRecord)
    kept = found.reason if isinstance(found, Damage) and (found.later or found.withheld) else None
    fault = kept or find_text_fault(note.text) or find_tags_fault(note.tags)
    if fault is not None:
        raise StudyError(f"{paths.note}: is not written: {fault}")
    write_record(paths.note, note)


def split_tags(text: str) -> tuple[str, ...]:
    """Return the tags in a text, between spaces or commas, each once, without the # before them."""
    return tuple(dict.fromkeys(word.lstrip("#") for word in text.replace(",", " ").split()))


def find_text_fault(text: str) -> str | None:
    """Say what is wrong with a note; None where nothing is."""
    return None if len(text) <= MAX_TEXT else f"the note has {len(text):,} characters, and may have {MAX_TEXT:,}"


def find_tags_fault(tags: Sequence[str]) -> str | None:
    """Say what is wrong with tags; None where nothing is."""
    if len(tags) > MAX_TAGS:
        return f"there are {len(tags)} tags, and may be {MAX_TAGS}"
    bad = next((tag for tag in tags if len(tag) > MAX_TAG or not re.match(TAG, tag)), None)
    return None if bad is None else f"{show_value(bad)} is no tag: a tag is {TAG_RULE}"
