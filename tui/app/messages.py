"""Defines the messages by which screens ask the app for something: a screen posts one, and the app acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from textual.message import Message

from engine.study.paths import StudyPaths


@dataclass
class OpenMonitor(Message):
    """Asks for the screen that shows a study while it runs."""

    paths: StudyPaths


@dataclass
class OpenResults(Message):
    """Asks for the screen that shows a study's measures."""

    paths: StudyPaths


@dataclass
class OpenComparison(Message):
    """Asks whether an arm of a study is better than another one."""

    paths: StudyPaths
    against: StudyPaths | None = None
    """The study of the other arm; None for the same."""


@dataclass
class OpenBuilder(Message):
    """Asks for the screen that changes a protocol."""

    path: Path
    copy: bool = False
    """Whether a new protocol begins as a copy of this one."""


@dataclass
class PlayTour(Message):
    """Asks for the tour."""


@dataclass
class RunProtocol(Message):
    """Asks for a protocol's study to be written and trained."""

    path: Path
    seconds: float | None = None
    """How long what is left takes, where that was estimated."""


@dataclass
class ContinueStudy(Message):
    """Asks for what a study lacks to be trained."""

    paths: StudyPaths


@dataclass
class CopyText(Message):
    """Asks for a text to be copied."""

    text: str
    name: str
    """Name of the file that it is saved as where it is too long for the terminal."""


@dataclass
class ExplainWanted(Message):
    """Asks for something to be explained."""

    parts: Sequence[RenderableType]
    """What is said of it."""


@dataclass
class ProtocolSaved(Message):
    """Tells that a protocol was written, so that the list of recent ones begins with it."""

    path: Path


@dataclass
class StudyEnded(Message):
    """Tells that a study that was being watched has ended."""

    study: str
    done: int
    total: int
    failed: int
