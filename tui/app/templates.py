"""Begins new protocols: from templates that come with the program, or as copies of a protocol that is there."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from tui.app.listed_files import ProtocolFile, describe_protocol, read_head, shipped_folder
from tui.text.format import shorten

FOLDER = "templates"
"""The folder of the templates, inside that of the shipped protocols."""

TITLES = {
    "blank": "blank",
    "sources": "sources of my network",
    "a-against-b": "A against B",
    "one-bit": "one bit",
    "onset": "onset",
    "crossed-sources": "crossed",
    "ensembles": "ensembles",
    "own-command": "my own command",
}
"""The templates in their order: name of the file → what a person calls it."""

TITLE_WIDTH = 24


def find_templates() -> list[ProtocolFile]:
    """Find the templates that come with the program."""
    shipped = shipped_folder()
    paths = [shipped / FOLDER / f"{name}.toml" for name in TITLES] if shipped is not None else []
    return [found for path in paths if (found := read_head(path, FOLDER)) is not None]


def is_template(path: Path) -> bool:
    """Tell whether a protocol file is a template."""
    shipped = shipped_folder()
    return shipped is not None and path.parent == shipped / FOLDER


def list_beginnings(templates: list[ProtocolFile], protocols: dict[str, ProtocolFile]) -> list[tuple[str, Text]]:
    """Return what a new protocol may begin as: pairs of a path and its line, headings without a path.

    Args:
        templates: The templates.
        protocols: The protocols that may be copied.
    """
    rows = [(str(one.path), _describe_template(one)) for one in templates]
    copied = [one for one in protocols.values() if one.fault is None]
    copies = [(str(one.path), describe_protocol(one, TITLE_WIDTH)) for one in copied]
    heads = [("", Text("Begin with a template")), ("", Text("Begin with a copy"))]
    return [*([heads[0], *rows] if rows else []), *([heads[1], *copies] if copies else [])]


def _describe_template(template: ProtocolFile) -> Text:
    title = shorten(TITLES[template.path.stem], TITLE_WIDTH)
    return Text(f"{title:{TITLE_WIDTH}}  ", no_wrap=True).append(template.description, "dim")


def begin_text(text: str, path: Path) -> str:
    """Return what a new protocol holds at first: a template as it is, a copy without what was said of its model.

    Args:
        text: What the file holds.
        path: The file.
    """
    if is_template(path):
        return text
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    return f"# Began as a copy of {path.name}.\n" + "".join(lines[first:])


def free_study_name(name: str, taken: set[str]) -> str:
    """Return the name of a copy: numbered, and not that of a study that is there."""
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
