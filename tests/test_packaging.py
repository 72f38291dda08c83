"""What is shipped: the wheel's content, sizes of modules, a reason beside every dependency."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).parents[1]
MODULES = [path for top in ("engine", "tui", "tests") for path in sorted((ROOT / top).rglob("*.py"))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 420
    assert ast.get_docstring(ast.parse(text))


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    content = tomli.loads(text)["project"]
    for requirement in [*content["dependencies"], *content["optional-dependencies"]["dev"]]:
        assert re.search(rf'"{re.escape(requirement)}",\s+# \S', text), requirement


def test_wheel_holds_both_packages_and_the_protocols() -> None:
    content = tomli.loads((ROOT / "pyproject.toml").read_text())
    wheel = content["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["tui", "engine"]
    assert set(wheel["shared-data"]) == {"protocols"}
    assert content["project"]["scripts"] == {"nondet-tui": "tui.cli:main"}


def test_top_level_is_the_designs() -> None:
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    allowed = {"pyproject.toml", "README.md", "Makefile", "tui", "engine", "protocols", "tests"}
    assert allowed <= names
    assert names - allowed <= {"studies", "build", "dist", "LICENSE"}


def test_benchmark_on_a_gpu_takes_the_environment_that_is_there(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    plan = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "--dry-run", "bench-gpu"]
    without = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "pip install" in without
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    there = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "pip" not in there
    assert there.strip() == without.splitlines()[-1].strip()


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
