"""Real studies in real processes, for the tests of this folder: start, look, kill, compare."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

PATIENCE_S = 300.0

COMMAND = [sys.executable, "-P", "-c", "import sys, tui.cli; sys.exit(tui.cli.main())"]

HEAD = """
[protocol]
name = "small"
replicas = 3
[data]
preset = "digits"
train_size = 200
[model]
preset = "resnet6"
width = 0.25
[train]
epochs = 4
batch_size = 40
lr = 0.5
warmup_epochs = 1
[metrics]
bootstrap = 200
[dispatch]
devices = "cpu"
slots_per_device = 1
checkpoint_s = 0
"""
"""Of one worker, as each takes seconds to import torch: tests of several ask for them."""

ARMS = {
    "Control": "[]",
    "Init": '["init"]',
    "Shuffle": '["shuffle"]',
    "Bit": '["bit"]',
}


def protocol_text(*names: str, head: str = HEAD) -> str:
    chosen = names or tuple(ARMS)
    return head + "".join(f'[[arm]]\nname = "{name}"\nvary = {ARMS[name]}\n' for name in chosen)


@dataclass(frozen=True)
class Study:
    """A protocol file and the store that it is trained in."""

    file: Path
    store: Path

    @property
    def folder(self) -> Path:
        return self.store / "small"

    def command(self, *options: str) -> list[str]:
        return [*COMMAND, "--batch", str(self.file), "--store", str(self.store), *options]

    def start(self, *options: str) -> subprocess.Popen[str]:
        """The command in the background, in a session of its own."""
        return subprocess.Popen(
            self.command(*options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*options), capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another of nondet-tui's commands."""
        return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text())
        except (OSError, ValueError):
            return None

    def metrics(self) -> list[dict[str, Any]]:
        return self.read("metrics.json")["arms"]

    def results(self) -> dict[str, str]:
        """Run → digest of its result.json: a finished run never changes again."""
        files = self.folder.glob("runs/*/result.json")
        return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def digests(self) -> dict[str, tuple[str, str]]:
        """Run → digests of its weights and predictions, as recorded; the files are compared with them."""
        found = {}
        for path in self.folder.glob("runs/*/result.json"):
            result = json.loads(path.read_text())
            for name, key in (("model.safetensors", "weights_sha256"), ("predictions.npy", "predictions_sha256")):
                assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == result[key]
            found[path.parent.name] = (result["weights_sha256"], result["predictions_sha256"])
        return found

    def attempts(self) -> dict[str, int]:
        return {run.name: len(list(run.glob("attempts/[0-9]*"))) for run in (self.folder / "runs").iterdir()}

    def supervisor(self) -> int | None:
        """Its pid while it lives."""
        owner = (self.read("supervisor.json") or {}).get("owner") or {}
        pid = owner.get("pid")
        return pid if pid is not None and str(self.folder) in command_line(pid) else None

    def workers(self) -> list[int]:
        """Pids of the study's workers."""
        return [
            pid
            for pid in all_pids()
            if "engine.training worker" in (line := command_line(pid)) and str(self.folder) in line
        ]


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder of what all processes of the tests share: the first that wants it makes it, others wait."""
    tests = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    own = factory.getbasetemp()
    folder = own / name if tests is None else own.parent / f"{name}-{tests}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def kill(pids: Sequence[int | None]) -> None:
    for pid in pids:
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def wait_for(condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not seen within {timeout_s} s: {condition}")


def finish(process: subprocess.Popen[str], timeout_s: float = 90.0) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def stop_everything(study: Study) -> None:
    """Leave no process behind, however a test ended."""
    kill([study.supervisor(), *study.workers()])
