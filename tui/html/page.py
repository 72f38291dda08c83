"""Lays a page out: templates that escape whatever is put into them, with style and script in the page itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from engine.catalog.arm_marks import COLOURS, find_mark
from tui.html.drawing import clean

FOLDER = Path(__file__).with_name("page")

DARK_GROUND = (
    "color-scheme: dark; --ground: #14171a; --panel: #1c2024; --ink: #e8eaed; --soft: #a3abb5; --rule: #343a41; "
    "--accent: #7fb2ff; --warn: #ffb37a; --warn-ground: #2b2018; --head: #22272c;"
)


def render_page(template: str, title: str, contents: Sequence[tuple[str, str]], content: Mapping[str, object]) -> str:
    """Return a page as text; equal content gives equal text.

    Args:
        template: The name of its template.
        title: Of the page.
        contents: Sections: the name of the place, and what it is called.
        content: What the template names.
    """
    import jinja2  # only where a page is made: the app can export one, and opens no later for it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    style = environment.get_template("page.css").render(
        light=_colours("light"), dark=_colours("dark"), dark_ground=Markup(DARK_GROUND), arm_classes=_arm_classes()
    )
    script = (FOLDER / "page.js").read_text()
    return environment.get_template(template).render(
        title=title,
        contents=contents,
        sections=[place for place, _ in contents],
        style=Markup(style),
        script=Markup(script),
        policy=_make_policy(style, script),
        colours=len(COLOURS),
        mark=show_mark,
        **content,
    )


def show_mark(number: int) -> str:
    """Return the character that marks an arm, by its place in the protocol from 0."""
    return find_mark(number).char


def _clean(value: object) -> object:
    """Show control characters and those that turn the direction of a text, wherever a text comes from."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _make_policy(style: str, script: str) -> str:
    """Let the page run and be styled by exactly what it came with, and fetch nothing from anywhere."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _colours(ground: str) -> Markup:
    """Return the arms' colours on a ground as variables of the style."""
    return Markup(" ".join(f"--arm{number}: {getattr(one, ground)};" for number, one in enumerate(COLOURS)))


def _arm_classes() -> Markup:
    return Markup("\n".join(f".c{number} {{ color: var(--arm{number}); }}" for number in range(len(COLOURS))))


def list_contents(named: Iterable[tuple[str, str, bool]]) -> list[tuple[str, str]]:
    """Return the sections that there are: place, name, and whether there is such a section."""
    return [(place, name) for place, name, there in named if there]
