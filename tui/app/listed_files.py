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
from rich.cells import cell_len
from rich.text import Text

import tui
from engine.plan.data_presence import find_missing
from engine.protocol.checks import is_table
from engine.protocol.data_section import Data
from engine.protocol.faults import printable
from engine.protocol.text_file import UnreadableError, read_text_file
from engine.study.study_state import ACTIVE
from engine.study.summary import StudySummary
from tui.text.counts import plural
from tui.text.decisions import list_verdicts
from tui.text.format import UNICODE, Symbols, describe_state, format_number, format_seconds, shorten
from tui.text.notes import format_tags
from tui.text.text_figures import draw_bar

MAX_BYTES = 200_000

GROUPS = {
    "start": "Start here",
    "yours": "Your protocols",
    "compare": "Is B better than A? In pairs, until decided",
    "own": "Your own training: any program that takes a seed",
    "minutes": "Papers in minutes: small networks, no download",
    "full": "Papers at full size: downloaded data, GPUs",
}
"""Group of a protocol file → what stands above those of it, in the order of the screen."""

GROUP_NOTES = {
    "start": "A small study that shows what the program measures, from beginning to end.",
    "yours": "The protocols that were opened lately, and those in ./protocols and in this folder.",
    "compare": "A real difference, one that is too small to matter, and none at all: each trains pairs of replicas "
    'until its question is answered. Begin with the template "A against B" for a question of your own.',
    "own": "Scripts that know nothing of this program, with a protocol for each: begin with one, or with the template "
    '"my own command". A self-test says first whether a script repeats itself, and whether its seeds do something.',
    "minutes": "Every table and figure of Summers & Dinneen, and a few studies beside it, with small networks on data "
    "that come along: minutes on two cores.",
    "full": "The same with the papers' data and networks: hundreds of runs, downloaded data, a GPU.",
}
"""Group of a protocol file → what it holds."""

START = "quickstart"
"""The shipped protocol to start with."""

BAR_WIDTH, SHORT_BAR, ROOM_BEHIND = 16, 8, 18
"""Columns of a bar, of one where there is little room, and of what stands behind it."""


TOTAL_WIDTH, AGE_WIDTH = 3, 15
"""Columns of a number of runs, and of how long ago the last of them ended."""

FIGURES_WIDTH, LEAST_NAME, GOOD_NAME = 28, 8, 14
"""Columns of a study's result, of the name of its arm at least, and of one beside which there is room for the age."""

LEAST_VERDICT = 48
"""Columns of a verdict that says in what two arms differ: for the age there is only what it leaves."""


@dataclass(frozen=True)
class ProtocolFile:
    """Holds what the list shows of one protocol file."""

    path: Path
    name: str
    description: str
    group: str
    """A key of GROUPS."""
    fault: str | None = None
    lacks: str | None = None
    """What is missing: the data preset of which there are no files, and whether training downloads them."""


def shipped_folder() -> Path | None:
    """Return the folder of the protocols that come with the program: beside the code, or where the wheel put them."""
    beside = Path(tui.__file__).parent.parent / "protocols"
    installed = Path(sys.prefix) / "share" / "nondet-tui" / "protocols"
    return next((folder for folder in (beside, installed) if folder.is_dir()), None)


def find_protocols(folder: Path, recent: Iterable[Path]) -> list[ProtocolFile]:
    """Find the shipped ones, the recent ones, and those in ./protocols and ./; each file once."""
    shipped = shipped_folder()
    candidates: list[tuple[Path, str]] = []
    if shipped is not None:
        candidates += [(path, _group_shipped(path)) for path in sorted(shipped.glob("*.toml"))]
        candidates += [(path, "compare") for path in sorted(shipped.glob("compare/*.toml"))]
        candidates += [(path, "own") for path in sorted(shipped.glob("own/*.toml"))]
        candidates += [(path, "minutes") for path in sorted(shipped.glob("small/*.toml"))]
    candidates += [(path, "yours") for path in recent]
    for place in (folder / "protocols", folder):
        candidates += [(path, "yours") for path in sorted(place.glob("*.toml")) if path.name != "pyproject.toml"]
    found: dict[Path, ProtocolFile] = {}
    for path, group in candidates:
        where = Path(os.path.realpath(path))  # which takes a link to itself for what it is
        known = found.get(where)
        if known is None and (entry := read_head(path, group)) is not None:
            found[where] = entry
    return list(found.values())


def _group_shipped(path: Path) -> str:
    return "start" if path.stem == START else "full"


def read_head(path: Path, group: str) -> ProtocolFile | None:
    """Read name and description of a file; None where it is no protocol."""
    try:
        content: dict[str, Any] = tomli.loads(read_text_file(path, limit=MAX_BYTES))
    except (OSError, UnreadableError):
        return None
    except (ValueError, RecursionError) as error:
        return ProtocolFile(path, path.stem, "", group, fault=f"not valid TOML: {error}")
    head = content.get("protocol")
    if not is_table(head):
        return None
    name, description = head.get("name", path.stem), head.get("description", "")
    return ProtocolFile(
        path, printable(str(name)), printable(str(description)), group, lacks=_find_lacking(content.get("data"), path)
    )


def _find_lacking(data: object, path: Path) -> str | None:
    """Name the preset of a protocol's table of data where its files are not there; no plan is made for it."""
    if not is_table(data) or not isinstance(preset := data.get("preset"), str):
        return None
    root = data.get("root", Data.root)
    try:
        folder = (path.parent / Path(str(root)).expanduser()).resolve()
        missing = find_missing(preset, folder)
    except (OSError, RuntimeError, ValueError):  # a folder that cannot be: training says so
        return None
    return None if missing is None else f"{preset}: {'download' if missing.fetched else 'missing'}"


def describe_study(
    summary: StudySummary,
    name_width: int,
    now: float | None = None,
    symbols: Symbols = UNICODE,
    width: int | None = None,
) -> Text:
    """Describe a study in one line: state, name, progress, age, tags, and its last result with the arm that it is of.

    Where there is little room, the age gives way to a result, then the end of the arm's name does.
    """
    row = Text(f"{symbols.states[summary.state]} {printable(summary.paths.name):{name_width}}  ")
    tags = f"  {format_tags(summary.tags)}" if summary.tags else ""
    if summary.fault is not None:
        return row.append(f"{summary.state}: {printable(summary.fault)}")
    if summary.state in ACTIVE:
        share = summary.done / max(1, summary.total)
        bar = BAR_WIDTH if width is None or width >= row.cell_len + BAR_WIDTH + ROOM_BEHIND else SHORT_BAR
        row.append(draw_bar(share, symbols, bar)).append(f" {100 * share:3.0f} %  {summary.done}/{summary.total}")
        return row.append("" if summary.state == "running" else f"  {summary.state}").append(tags, "italic")
    age = format_seconds(max(0.0, (time.time() if now is None else now) - summary.changed))
    verdicts: tuple[str, ...] = ()
    if summary.state == "done":
        if summary.compare is not None:
            verdicts = list_verdicts(summary.compare, summary.decision, symbols)
        row.append(f"{summary.total:>{TOTAL_WIDTH}} {'run ' if summary.total == 1 else 'runs'}", "dim")
        told = f", {f'{age} ago':{AGE_WIDTH}}"
        named = row.cell_len + cell_len(tags) + FIGURES_WIDTH + LEAST_NAME
        good = named - LEAST_NAME + len(told) + GOOD_NAME  # the same for all names, so that figures are aligned
        gives_way = summary.headline is not None and width is not None and named <= width < good
        if verdicts and width is not None:
            room = width - row.cell_len - cell_len(tags) - len("  ")
            gives_way = len(verdicts[-1]) <= room < len(told) + min(len(verdicts[0]), LEAST_VERDICT)
        row.append("" if gives_way else told, "dim")
    else:
        state = describe_state(summary.state, summary.failed, symbols).partition(" ")[2]
        row.append(f"{state}, {summary.done} of {plural(summary.total, 'run')}")
        told = f", {age} ago"
        row.append(told if width is None or row.cell_len + len(told) <= width else "", "dim")
    row.append(tags, "italic")
    if verdicts:
        room = None if width is None else width - row.cell_len - len("  ")
        said = next((text for text in verdicts if room is None or cell_len(text) <= room), None)
        row.append("" if said is None else f"  {said}")
    elif summary.headline is not None:
        name, spread, disagreement = summary.headline
        told = f"  SD {_align(format_number(spread, 2, symbols), 1)}"
        told += "" if disagreement is None else f"  disagree {_align(format_number(disagreement, 2, symbols), 2)} %"
        called = printable(name)
        room = len(called) if width is None else width - row.cell_len - len(told) - 2
        if room >= min(len(called), LEAST_NAME):  # figures alone would not say what they are of
            row.append(f"{told}  {shorten(called, room, symbols)}", "dim")
    row.rstrip()
    return row


def _align(figure: str, before: int) -> str:
    """Return a figure with its point in the same place as that of others with two decimals and `before` digits."""
    whole, point, rest = figure.partition(".")
    return f"{whole:>{before}}{point + rest:3}"


def describe_protocol(entry: ProtocolFile, name_width: int) -> Text:
    """Describe a protocol file in one line."""
    if entry.fault is not None:
        return Text(f"{entry.name:{name_width}}  {UNICODE.failed} {printable(entry.fault)}")
    row = Text(f"{entry.name:{name_width}}  ")
    if entry.lacks is not None:
        row.append(f"{UNICODE.lost} {printable(entry.lacks)}  ", "yellow")
    return row.append(entry.description, "dim")
