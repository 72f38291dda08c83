"""The modules of the project as syntax trees, for the checks of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """One module of a package."""

    name: str
    """Dotted, without `__init__`."""
    file: str
    """Its path from the root of the project."""
    tree: ast.Module

    @property
    def package(self) -> str:
        """What its relative imports start from."""
        return self.name if self.file.endswith("__init__.py") else self.name.rpartition(".")[0]


def read_modules(*packages: str, root: Path = ROOT) -> Iterator[Module]:
    """Parse every module of some packages, in the order of their paths."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield Module(name, str(path.relative_to(root)), ast.parse(path.read_text()))
