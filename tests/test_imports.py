"""Fresh interpreters prove what each process loads, so that starts stay fast without a test that takes the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "numpy", "scipy", "sklearn", "safetensors", "matplotlib", "pyarrow")
PROTOCOL = ("engine.protocol.checks", "engine.protocol.sections", "engine.plan.packing", "engine.plan.plan")
"""What makes a study from a protocol; whoever reads one, trains or supervises needs none of it."""
FACTS = ("engine.catalog", "engine.tuning", "tomli")
"""What only planning, measuring and showing look up."""
BINDINGS = ("pynvml",)
"""What asks the driver for GPUs, which takes longer to import than most of the program."""
SCREENS = ("tui.app.screens.monitor", "tui.app.screens.builder", "tui.app.screens.results", "tomlkit")
"""What is not on the first screen."""
WORK = ("engine.dispatch", "engine.tuning", "engine.protocol.load", "engine.plan.plan", "tui.app.preview")
"""What looks into a protocol, and begins or stops a training; nobody can ask for that before the screen is drawn."""
RECORDS = ("engine.study", "engine.dispatch", "engine.plan", "engine.catalog", "msgspec")
"""What anything but a help text needs."""

IMPORT_TORCH = """
import gc
from engine.training.__main__ import import_torch
before = [one["collections"] for one in gc.get_stats()]
import_torch()
assert [one["collections"] for one in gc.get_stats()] == before, "garbage was looked for"
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000, "what torch has made is never looked through"
assert "torch" in sys.modules
"""

CASES = {
    "help": ("run(['--help'])", (*HEAVY, *PROTOCOL, *FACTS, *BINDINGS, *RECORDS, "textual", "rich")),
    "command line": ("import tui.cli", (*HEAVY, *PROTOCOL, *FACTS, *BINDINGS, *RECORDS, "textual", "rich")),
    "batch": ("import tui.commands.batch", (*HEAVY, *BINDINGS, "textual", "tui.app")),
    "ls": ("run(['ls'])", (*HEAVY, *BINDINGS, "textual", "engine.tuning", "tui.app")),
    "app": ("import tui.app.app", (*HEAVY, *BINDINGS, *SCREENS, *WORK, "jinja2")),
    "results": ("import tui.app.screens.results", (*HEAVY, *BINDINGS, "jinja2")),
    "supervisor": ("import engine.dispatch.__main__", (*HEAVY, *PROTOCOL, *FACTS, *BINDINGS, "textual", "rich")),
    "worker before it has its slot": (
        "import engine.training.__main__",
        (*HEAVY, *PROTOCOL, *FACTS, *BINDINGS, "textual", "rich", "engine.dispatch.devices", "importlib.metadata"),
    ),
    "export": ("import engine.report.__main__", ("torch", "scipy", "textual", "rich", "sklearn", *PROTOCOL)),
    "measures": ("import engine.metrics.renewal", ("torch", "textual", "rich", "sklearn", "scipy", *PROTOCOL)),
    "training": (f"{IMPORT_TORCH}import engine.training.worker", ("textual", *PROTOCOL)),
}
"""Name → what a process does, and the modules that it does not load, nor anything in them."""

PROBE = """
import sys

def run(arguments):
    from tui.cli import main
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code

{statement}
names = {forbidden!r}
print("loaded", *sorted(name for name in sys.modules if any(f"{{name}}.".startswith(f"{{one}}.") for one in names)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_process_loads_no_more_than_it_needs(name: str, tmp_path: Path) -> None:
    statement, forbidden = CASES[name]
    probe = PROBE.format(statement=statement, forbidden=forbidden)
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "loaded"


def test_stray_modules_of_the_working_folder_are_not_ours(tmp_path: Path) -> None:
    """Somebody's own folder named engine must not hide ours where processes are started."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')")
    command = [sys.executable, "-P", "-m", "engine.dispatch"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "usage" in done.stderr
