"""Asks a user's program for its arguments, and writes what is proposed for it into a protocol."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.catalog.placeholders import EVERYTHING
from engine.catalog.sources import SOURCES
from engine.protocol.checks import is_list
from engine.protocol.command_words import Proposal, join_words
from tui.app.document import Document

HELP_S = 30.0
"""Seconds for which a program may take to say what its arguments are; it may have to import its framework."""

HELP_BYTES = 200_000

EVERYTHING_TITLE = "Everything at once"


def ask_program(words: Sequence[str], folder: Path) -> str:
    """Run a program's --help and return what it says; it is killed with all that it started when its time is over.

    Raises:
        OSError: If it cannot be started.
        TimeoutError: If it takes too long.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            list(words),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=dict(os.environ) | {"COLUMNS": "120"},
            start_new_session=True,
        )
        try:
            process.wait(HELP_S)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"it did not end within {HELP_S:g} s, and was killed") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return said.read(HELP_BYTES).decode(errors="replace")


def find_working_folder(document: Document, path: Path, *, fresh: bool) -> Path:
    """Return the folder that a protocol's program is started in: this one, where it says nothing yet."""
    named = document.get("command.folder")
    if not isinstance(named, str):
        return Path.cwd()
    return Path(named) if fresh else path.parent.absolute() / named


def find_interpreter(name: str) -> str | None:
    """Return the interpreter that a word stands for on this machine; None where it is this program's own."""
    found = shutil.which(name) or name
    return None if Path(found) == Path(sys.executable) else found


def show_words(document: Document) -> str:
    """Return the program's words as they would be typed; empty where there are none."""
    words = document.get("command.run")
    return join_words(str(word) for word in words) if is_list(words) else ""


def describe_found(proposal: Proposal) -> list[tuple[str, str]]:
    """Return what was found in a program's words: pairs of a placeholder and where it comes from."""
    rows = [(_place(source), argument or "as it stands") for source, argument in proposal.found.items()]
    rows += [("{out}", proposal.out)] if proposal.out else []
    rows += [("{checkpoint}", " ".join(proposal.resume[:1]))] if proposal.resume else []
    return rows


def _place(source: str) -> str:
    return "{seed}" if source == EVERYTHING else f"{{seed.{source}}}"


def describe_remark(proposal: Proposal) -> str:
    """Say in a line what was found while the words are typed."""
    rows = describe_found(proposal)
    if not proposal.found:
        return "no seed is among these words: next, the program can be asked for its arguments"
    return "found: " + ", ".join(f"{argument} is {place}" for place, argument in rows)


def name_arm_of(source: str, proposal: Proposal) -> str:
    """Return what an arm is called that varies one source."""
    if source == EVERYTHING:
        return EVERYTHING_TITLE
    return SOURCES[source].title if source in SOURCES else proposal.titles[source]


def apply_proposal(document: Document, proposal: Proposal, folder: Path, *, path: Path, fresh: bool) -> None:
    """Write a proposal into a protocol: its words, own sources, and an arm for each source that has none.

    Args:
        document: The protocol, which is changed.
        proposal: What is proposed.
        folder: Where the program is started.
        path: The protocol's file.
        fresh: Whether it has none yet, and so no folder that others could be seen from.
    """
    here = not fresh and folder == path.parent.absolute()
    settings: dict[str, Any] = {
        "command.run": list(proposal.run),
        "command.folder": None if here else str(folder),
        "command.python": None if proposal.python is None else find_interpreter(proposal.python),
        "command.files": list(proposal.files) or document.get("command.files"),
        "command.epochs": proposal.epochs or document.get("command.epochs"),
        "command.resume": list(proposal.resume) or None,
    }
    for key, value in settings.items():
        document.set(key, value)
    for source, title in proposal.titles.items():
        document.set(f"sources.{source}", title)
    _make_arms(document, proposal)


def _make_arms(document: Document, proposal: Proposal) -> None:
    """Take out arms that vary what the program cannot, and add one for each source, and one for all of them."""
    for number in reversed(range(len(document.arms))):
        vary = document.arms[number].get("vary", [])
        if any(str(name) not in proposal.found for name in vary):
            document.remove_arm(number)
    wanted = [[source] for source in proposal.found]
    wanted += [list(proposal.found)] if len(proposal.found) > 1 else []
    there = [sorted(str(name) for name in arm.get("vary", [])) for arm in document.arms]
    for vary in wanted:
        if sorted(vary) not in there:
            name = "All of them" if len(vary) > 1 else name_arm_of(vary[0], proposal)
            document.add_arm(document.free_name(name))
            document.arms[-1]["vary"] = vary
