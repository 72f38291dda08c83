"""What is loaded into a user's program needs nothing else of the project, and no newer Python than it says."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import engine.tracing

FILES = sorted(Path(str(engine.tracing.__file__)).parent.rglob("*.py"))
ALLOWED = {*sys.stdlib_module_names, "torch"}
NEWER = {"zip": "strict", "dataclass": "slots"}
"""Function → keyword that Python 3.9 does not know."""


def find_faults(text: str) -> list[str]:
    """Name imports from elsewhere, and words that are newer than Python 3.9."""
    try:
        tree = ast.parse(text, feature_version=(3, 9))
    except SyntaxError as error:
        return [str(error)]
    faults: list[str] = []
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        faults += [name for name in names if name.split(".")[0] not in ALLOWED]
        if isinstance(node, ast.Call):
            words = {one.arg for one in node.keywords}
            faults += [one for one in words if one and NEWER.get(ast.unparse(node.func).split(".")[-1]) == one]
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_module_stands_alone(path: Path) -> None:
    assert find_faults(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    ["import numpy", "from engine.errors import NondetError", "match x:\n case 1: pass", "zip(a, b, strict=True)"],
)
def test_fault_is_found(text: str) -> None:
    assert len(find_faults(text)) == 1
