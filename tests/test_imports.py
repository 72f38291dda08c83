"""Fresh interpreters prove what each face loads: the command line stays light, measures need no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "numpy", "scipy", "sklearn", "safetensors", "matplotlib", "pyarrow")

CASES = {
    "command line": ("import tui.cli", (*HEAVY, "textual")),
    "batch": ("import tui.commands.batch", (*HEAVY, "textual")),
    "ls": ("import tui.cli; tui.cli.main(['ls'])", (*HEAVY, "textual")),
    "app": ("import tui.app.app", HEAVY),
    "supervisor": ("import engine.dispatch.supervisor", (*HEAVY, "textual", "rich")),
    "worker before it has its slot": ("import engine.training.__main__", (*HEAVY, "textual", "rich")),
    "export": ("import engine.report.__main__", ("torch", "scipy", "textual", "rich", "sklearn")),
    "measures": ("import engine.metrics.study", ("torch", "textual", "rich", "sklearn")),
    "training": ("import engine.training.worker", ("textual",)),
}


@pytest.mark.parametrize("name", CASES)
def test_process_loads_no_more_than_it_needs(name: str, tmp_path: Path) -> None:
    statement, forbidden = CASES[name]
    probe = f"import sys\n{statement}\nprint('loaded', *sorted(set(sys.modules) & set({forbidden!r})))"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "loaded"


def test_stray_modules_of_the_working_folder_are_not_ours(tmp_path: Path) -> None:
    """Somebody's own folder named engine must not hide ours where processes are started."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')")
    command = [sys.executable, "-P", "-m", "engine.dispatch"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "usage" in done.stderr
