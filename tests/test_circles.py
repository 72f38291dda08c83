"""No module of ours imports itself by way of others, not for its types either."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import engine
import tui

ROOT = Path(tui.__file__).parents[1]

Graph = dict[str, set[str]]


def read_graph(root: Path, packages: tuple[str, ...]) -> Graph:
    """Module → modules of the same packages that it imports while it is loaded, those under TYPE_CHECKING too."""
    files = {name_module(root, path): path for package in packages for path in (root / package).rglob("*.py")}
    return {
        module: {target for target in imports_of(path, module, set(files)) if target != module}
        for module, path in files.items()
    }


def name_module(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, module: str, known: set[str]) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in walk_outside_functions(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield from [name for name in (inner if inner in known else base,) if name in known]


def walk_outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs while a module is loaded: the bodies of functions do not."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from walk_outside_functions(node)


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of one circle, the first again at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = read_graph(ROOT, (tui.__name__, engine.__name__))
    assert sum(map(len, graph.values())) > 300, "imports were found"
    assert find_circle(graph) == []


@pytest.mark.parametrize(
    ("back", "circle"),
    [
        ("from a.low import x", True),
        ("from a import low", True),
        ("from .low import x", True),
        ("import a.low", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.low import x", True),
        ("class K:\n    from a.low import x", True),
        ("def f():\n    from a.low import x", False),
        ("import os", False),
    ],
)
def test_circle_is_found_wherever_an_import_stands(back: str, circle: bool, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "__init__.py").write_text("")
    (tmp_path / "a" / "b" / "__init__.py").write_text("from ..middle import x\n")
    (tmp_path / "a" / "low.py").write_text("from a.b import x\n")
    (tmp_path / "a" / "middle.py").write_text(back + "\n")
    assert bool(find_circle(read_graph(tmp_path, ("a",)))) is circle
