"""Finds the protocol files and the studies that the start screen lists, and describes each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

import tui
from engine.protocol.checks import is_table
from engine.protocol.faults import printable
from engine.protocol.text_file import UnreadableError, read_text_file
from engine.study.summary import StudySummary
from tui.text.format import UNICODE, Symbols, describe_state, format_number, format_seconds

MAX_BYTES = 200_000


@dataclass(frozen=True)
class ProtocolFile:
    """Holds what the list shows of one protocol file."""

    path: Path
    name: str
    description: str
    origin: str
    """recent, here or shipped."""
    fault: str | None = None


def shipped_folder() -> Path | None:
    """Return the folder of the protocols that come with the program: beside the code, or where the wheel put them."""
    beside = Path(tui.__file__).parent.parent / "protocols"
    installed = Path(sys.prefix) / "share" / "nondet-tui" / "protocols"
    return next((folder for folder in (beside, installed) if folder.is_dir()), None)


def find_protocols(folder: Path, recent: Iterable[Path]) -> list[ProtocolFile]:
    """Find the recent ones, those in ./protocols and ./, and the shipped ones; each file once."""
    shipped = shipped_folder()
    candidates = [(path, "recent") for path in recent]
    for place in (folder / "protocols", folder):
        candidates += [(path, "here") for path in sorted(place.glob("*.toml")) if path.name != "pyproject.toml"]
    if shipped is not None:
        candidates += [(path, "shipped") for path in sorted([*shipped.glob("*.toml"), *shipped.glob("small/*.toml")])]
    found: dict[Path, ProtocolFile] = {}
    for path, origin in candidates:
        where = Path(os.path.realpath(path))  # which takes a link to itself for what it is
        known = found.get(where)
        if known is None and (entry := read_head(path, origin)) is not None:
            found[where] = entry
    return list(found.values())


def read_head(path: Path, origin: str) -> ProtocolFile | None:
    """Read name and description of a file; None where it is no protocol."""
    try:
        content: dict[str, Any] = tomli.loads(read_text_file(path, limit=MAX_BYTES))
    except (OSError, UnreadableError):
        return None
    except (ValueError, RecursionError) as error:
        return ProtocolFile(path, path.stem, "", origin, fault=f"not valid TOML: {error}")
    head = content.get("protocol")
    if not is_table(head):
        return None
    name, description = head.get("name", path.stem), head.get("description", "")
    return ProtocolFile(path, printable(str(name)), printable(str(description)), origin)


def describe_study(summary: StudySummary, now: float | None = None, symbols: Symbols = UNICODE) -> str:
    """Describe a study in one line: state, progress, age, last result."""
    age = format_seconds(max(0.0, (time.time() if now is None else now) - summary.changed))
    state = describe_state(summary.state, summary.failed, symbols)
    head = f"{printable(summary.paths.name):24} {state:12} {summary.done:>5}/{summary.total:<5} {age:>12} ago"
    if summary.fault is not None:
        return f"{printable(summary.paths.name):24} {state:12} {printable(summary.fault)}"
    if summary.headline is None:
        return head
    name, spread, disagreement = summary.headline
    figures = f"SD {format_number(spread, 2, symbols)}"
    if disagreement is not None:
        figures += f"  disagree {format_number(disagreement, 2, symbols)} %"
    return f"{head}   {printable(name)}: {figures}"


def describe_protocol(entry: ProtocolFile) -> str:
    """Describe a protocol file in one line."""
    if entry.fault is not None:
        return f"{entry.name:24} {UNICODE.failed} {printable(entry.fault)}"
    return f"{entry.name:24} {entry.description}"
