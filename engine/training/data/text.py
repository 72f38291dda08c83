"""Text as numbers: words, their vocabulary, and streams that are read side by side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import DataError
from engine.plan.corpora import read_corpus

END = "<eos>"
UNKNOWN = "<unk>"
NUMBER = "n"

RARE = 3
"""Words of the help topics that are met less often in training are one word: unknown."""

TOPIC_TOKEN = re.compile(r"\n\s*\n|[a-z_]+(?:'[a-z]+)?|\d+|([^\sa-z_\d])\1*")


@dataclass(frozen=True)
class Corpus:
    """A corpus as word numbers, on one device."""

    train: Tensor
    """int64 (N,)."""
    valid: Tensor
    test: Tensor
    vocabulary: tuple[str, ...]
    """Word of each number."""

    @property
    def test_labels(self) -> Tensor:
        """Return what is predicted: every word of the test text but its first."""
        return self.test[1:]

    def to(self, device: torch.device) -> Corpus:
        """Return the same text on another device."""
        return replace(self, train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device))

    def memory_bytes(self) -> int:
        """Return the memory of all three tensors."""
        return sum(part.numel() * part.element_size() for part in (self.train, self.valid, self.test))


def load_corpus(preset: str, root: Path) -> Corpus:
    """Read a corpus and number its words.

    Raises:
        DataError: If it is missing or too short.
    """
    text = read_corpus(preset, root)
    split = split_topics if preset == "pydoc" else split_lines
    train, valid, test = split(text.train), split(text.valid), split(text.test)
    if min(len(train), len(valid), len(test)) < 2:
        raise DataError(f"{preset}: a part of the corpus has fewer than two words")
    if preset == "pydoc":
        known = {word for word, count in Counter(train).items() if count >= RARE} | {UNKNOWN}
        train, valid, test = ([word if word in known else UNKNOWN for word in part] for part in (train, valid, test))
    # Words are numbered in the order of their first use in training, as in awd-lstm-lm's data.py.
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*train, *valid, *test]))}
    parts = (torch.tensor([numbers[word] for word in part]) for part in (train, valid, test))
    return Corpus(*parts, vocabulary=tuple(numbers))


def split_lines(text: str) -> list[str]:
    """Return the words between spaces and an end mark behind every line: the layout of Penn Treebank and WikiText."""
    return [word for line in text.splitlines() for word in (*line.split(), END)]


def split_topics(text: str) -> list[str]:
    """Return lower-case words, runs of one mark, one word for all numbers, and an end mark for an empty line."""
    return [_name_token(match.group()) for match in TOPIC_TOKEN.finditer(text.lower())]


def _name_token(token: str) -> str:
    if token.isspace():
        return END
    return NUMBER if token.isdigit() else token


def make_streams(words: Tensor, streams: int) -> Tensor:
    """Cut the text into equal parts that are read side by side, (T, streams); what is left over is dropped."""
    length = len(words) // streams
    return words[: length * streams].view(streams, length).t().contiguous()


def cut_segments(length: int, sizes: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Yield start and size of the segments of streams; the last word is predicted and never read."""
    start = 0
    while start < length - 1:
        size = min(next(sizes), length - 1 - start)
        yield start, size
        start += size
