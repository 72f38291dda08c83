"""The source itself: no circles, no import behind a string, and the checks that say so find what they look for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.docstrings import begins_with_name, begins_with_verb, find_offenders
from tests.helpers.imports import build_graph, find_circles, find_string_imports
from tests.helpers.source import Module, read_modules

WITHOUT_CIRCLES = ("engine", "tui")
"""Packages that are free of circles."""


def write_modules(folder: Path, **texts: str) -> list[Module]:
    """A package `engine` with some modules; double underscores separate folders."""
    for name, text in texts.items():
        path = folder / "engine" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    return list(read_modules("engine", root=folder))


def test_modules_import_each_other_in_no_circle() -> None:
    assert find_circles(read_modules(*WITHOUT_CIRCLES)) == []


def test_modules_of_the_project_are_imported_by_statements() -> None:
    assert find_string_imports(read_modules("engine", "tui")) == []


@pytest.mark.parametrize(
    ("back", "circles"),
    [
        ("import engine.a", [["engine.a", "engine.b.c"]]),
        ("from engine import a", [["engine.a", "engine.b.c"]]),
        ("from engine.a import x", [["engine.a", "engine.b.c"]]),
        ("from .. import a", [["engine.a", "engine.b.c"]]),
        ("from ..a import x", [["engine.a", "engine.b.c"]]),
        ("def late():\n    from engine.a import x", [["engine.a", "engine.b.c"]]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import engine.a", [["engine.a", "engine.b.c"]]),
        ("from engine.d import x", []),
        ("import engine.b.c", [["engine.b.c"]]),
        ("'''import engine.a'''", []),
    ],
)
def test_circle_is_found_however_it_is_closed(back: str, circles: list[list[str]], tmp_path: Path) -> None:
    modules = write_modules(tmp_path, a="from engine.b.c import y\nx = 1\n", b__c=f"{back}\ny = 1\n", d="x = 1\n")
    assert find_circles(modules) == circles
    assert build_graph(modules)["engine.a"] == {"engine.b.c"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("importlib.import_module('engine.a')", ["engine.b: engine.a"]),
        ("import_module('tui.cli').main", ["engine.b: tui.cli"]),
        ("__import__(f'engine.{name}')", ["engine.b: engine."]),
        ("importlib.import_module(name)", []),
        ("importlib.import_module('pynvml')", []),
        ("print('engine.a')", []),
        ("from engine import a", []),
    ],
)
def test_import_by_a_string_is_found(text: str, found: list[str], tmp_path: Path) -> None:
    assert find_string_imports(write_modules(tmp_path, b=text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "Return the folder.", "Returns the folder.", "Read what is there.", "Tries another.", "Train, and end.",
        "Go on.", "Name the slot.", "Time an epoch.", "Cut texts to a width.", "Checks a text.", "Look at a file.",
        "Do.", "Measure what is there.", "Measures each arm.", "Type what is shown.", "Crop and flip a block.",
    ],
)  # fmt: skip
def test_sentence_that_begins_with_a_verb_is_taken(text: str) -> None:
    assert begins_with_verb(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "The folder.", "A folder.", "One layer.", "What is shown.", "Whether it is there.", "Of the networks.",
        "Where it is.", "As many as there are.", "How often.", "Have over what is recorded.", "See `Recorder`.",
        "Mean of entries.", "Mean loss.", "Name and description.", "Number → name.", "Start and size of a segment.",
        "Measures of an arm.", "Runs that are trained.", "Title, arms, plan.", "List.", "Seconds per epoch.", "(B, F).",
        "`copy` asks for a name.",
    ],
)  # fmt: skip
def test_sentence_that_begins_otherwise_is_not(text: str) -> None:
    assert not begins_with_verb(text)


@pytest.mark.parametrize(("text", "taken"), [("An arm.", True), ("Runs of an arm.", True), ("What is known.", False)])
def test_name_is_no_clause(text: str, taken: bool) -> None:
    assert begins_with_name(text) is taken


def test_offenders_are_named_with_their_place(tmp_path: Path) -> None:
    text = '''"""Folders."""

class Folder:
    """A folder."""

    @property
    def path(self):
        """The path."""

    def read(self):
        """The content.

        Read once.
        """
        def inner():
            """Of the inner one."""

def write():
    """Write a file."""

def bare(): ...
'''
    assert find_offenders(write_modules(tmp_path, a=text)) == [
        "engine/a.py:10: function read: The content.",
        "engine/a.py:15: function inner: Of the inner one.",
    ]
