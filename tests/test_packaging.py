"""The shape of the project: sizes of modules, a reason beside every dependency, targets of the Makefile."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomli

import engine
import tests
import tui

ROOT = Path(__file__).parents[1]
PACKAGES = (engine, tui, tests)
LONGEST = 420
"""Lines of a module."""


def find_faults(path: Path) -> list[str]:
    """Say what a module lacks: a docstring, or shortness."""
    text = path.read_text()
    faults = [] if ast.get_docstring(ast.parse(text)) else ["has no docstring"]
    lines = len(text.splitlines())
    return faults + ([f"has {lines} lines"] if lines > LONGEST else [])


def test_modules_are_short_and_say_what_they_are_for() -> None:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package.__name__).rglob("*.py"))]
    offenders = [f"{path.relative_to(ROOT)} {fault}" for path in paths for fault in find_faults(path)]
    assert not offenders, "\n".join(offenders)
    assert len(paths) > 200, "all modules were looked at"


@pytest.mark.parametrize(
    ("text", "faults"),
    [('"""A module."""\n', []), ("x = 1\n", ["has no docstring"]), ('"""Long."""\n' * 421, ["has 421 lines"])],
)
def test_module_at_fault_is_found(text: str, faults: list[str], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(text)
    assert find_faults(tmp_path / "module.py") == faults


def test_what_is_tested_is_this_checkout() -> None:
    for package in PACKAGES:
        assert package.__file__ == str(ROOT / package.__name__ / "__init__.py")


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    content = tomli.loads(text)["project"]
    for requirement in [*content["dependencies"], *content["optional-dependencies"]["dev"]]:
        assert re.search(rf'"{re.escape(requirement)}",\s+# \S', text), requirement


def test_benchmark_on_a_gpu_needs_neither_pip_nor_network(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    plan = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "--dry-run", "bench-gpu", "PYTHON=own-python"]
    without = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert without == "own-python tests/benchmarks/gpu.py\n"
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    there = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert there == ".venv/bin/python tests/benchmarks/gpu.py\n"
