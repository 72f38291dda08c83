"""Finds and reads text data: files in their usual folders below the data root, or Python's own help topics."""

from __future__ import annotations

import hashlib
import importlib
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import DataError

PARTS = ("train", "valid", "test")

FOLDERS: dict[str, tuple[str, ...]] = {
    "ptb": ("", "ptb", "penn", "simple-examples/data"),
    "wikitext2": ("", "wikitext-2", "wikitext2", "wikitext-2-v1"),
}
NAMES: dict[str, str] = {"ptb": "ptb.{}.txt", "wikitext2": "wiki.{}.tokens"}
PLAIN_NAME = "{}.txt"
"""What copies of either are called inside a folder of their own."""

BLOCK_PARAGRAPHS = 20
HELD_OUT = 10
"""One in so many blocks of the help topics is for testing, another one for validation."""


@dataclass(frozen=True)
class CorpusText:
    """A corpus as text, in parts."""

    train: str
    valid: str
    test: str


def find_files(preset: str, root: Path) -> tuple[Path, ...]:
    """Return the three files of a corpus: for training, validation and testing.

    Raises:
        DataError: If they are not where they are usually found; names what was looked for.
    """
    for folder in FOLDERS[preset]:
        for name in (NAMES[preset], PLAIN_NAME) if folder else (NAMES[preset],):
            files = tuple(root / folder / name.format(part) for part in PARTS)
            if all(file.is_file() for file in files):
                return files
    wanted = ", ".join(NAMES[preset].format(part) for part in PARTS)
    raise DataError(
        f"{preset}: {root} does not hold {wanted}, nor a folder {' or '.join(filter(None, FOLDERS[preset]))} that does:"
        " the corpus is not downloaded, put its files there"
    )


def read_corpus(preset: str, root: Path) -> CorpusText:
    """Read the text of a corpus.

    Raises:
        DataError: If a file is missing, empty or no text.
    """
    if preset == "pydoc":
        return _read_topics()
    return CorpusText(*(_read_text(preset, file) for file in find_files(preset, root)))


def _read_text(preset: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{preset}: {file} cannot be read as UTF-8 text: {error}") from error
    if not text.strip():
        raise DataError(f"{preset}: {file} is empty")
    return text


def _read_topics() -> CorpusText:
    """Read the help topics in the order of their names, and share their blocks of paragraphs out to the three parts."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    paragraphs = [text for name in sorted(topics) for text in re.split(r"\n\s*\n", topics[name])]
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for number, paragraph in enumerate(paragraphs):
        block = number // BLOCK_PARAGRAPHS % HELD_OUT
        parts[{HELD_OUT - 1: "test", HELD_OUT // 2 - 1: "valid"}.get(block, "train")].append(paragraph)
    return CorpusText(*("\n\n".join(parts[part]) for part in PARTS))


def digest_corpus(preset: str, root: Path) -> str | None:
    """Return the SHA-256 of a corpus's text, which is part of a run's recipe; None where it cannot be read."""
    try:
        corpus = read_corpus(preset, root)
    except DataError:
        return None
    parts = (corpus.train, corpus.valid, corpus.test)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
