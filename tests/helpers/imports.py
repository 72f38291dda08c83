"""Checks of imports: circles of modules, and modules of the project that are imported by a string.

`python -m tests.helpers.imports` prints what they find in engine and tui.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping

from tests.helpers.source import Module, read_modules

PACKAGES = ("engine", "tui")
IMPORTERS = ("import_module", "__import__", "find_spec", "run_module", "resolve_name")
"""Functions that import or run a module by its name."""


def find_circles(modules: Iterable[Module]) -> list[list[str]]:
    """Find the groups of modules that reach each other by their imports.

    An import inside a function, or for types alone, counts as well: it hides a circle and does not open it.
    """
    graph = build_graph(list(modules))
    reached = {name: _reach(name, graph) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def build_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Map each module to those that it imports, wherever in it."""
    names = {module.name for module in modules}
    return {module.name: set(_find_imports(module, names)) for module in modules}


def find_string_imports(modules: Iterable[Module]) -> list[str]:
    """Find calls that import a module of the project by a string, as "module: imported"."""
    return [f"{module.name}: {name}" for module in modules for name in _find_strings(module.tree)]


def _reach(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Collect what a module reaches by one import or more; itself only in a circle."""
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    return reached


def _find_imports(module: Module, names: set[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            base = _resolve(node, module)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                if submodule in names:
                    yield submodule
                elif base in names:
                    yield base


def _resolve(node: ast.ImportFrom, module: Module) -> str:
    """Return the absolute name of what names are imported from."""
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def _find_strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in IMPORTERS:
            yield from (text for argument in node.args[:1] if (text := _read_text(argument)).startswith(_prefixes()))


def _read_text(node: ast.expr) -> str:
    """Return the text that a literal begins with, of an f-string as well; empty for other expressions."""
    if isinstance(node, ast.JoinedStr):
        return _read_text(node.values[0]) if node.values else ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _prefixes() -> tuple[str, ...]:
    return tuple(f"{package}." for package in PACKAGES)


def main() -> int:
    """Print circles and imports by string; 1 where there are any."""
    modules = list(read_modules(*PACKAGES))
    circles, strings = find_circles(modules), find_string_imports(modules)
    lines = ["circle: " + ", ".join(circle) for circle in circles] + [f"by string: {line}" for line in strings]
    sys.stdout.writelines(f"{line}\n" for line in [*lines, f"{len(circles)} circles, {len(strings)} by string"])
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
