"""Runs a user's program once while it is watched, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.dispatch.children import command
from engine.tracing import loaded
from engine.tracing.records import Difference, Facts, Record, parse_differences, parse_facts, read_records
from engine.tracing.wanted import Mark, Wanted, read_marks, write_wanted

LOOK_S = 0.1
LEFT_ENV = {
    "hash": {"PYTHONHASHSEED": "0"},
    "threads": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    "kernels": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
}
"""What is held fixed → variables of the program's environment."""
SHOWN_LINES = 12
"""Last lines of a program's output that are shown when it fails."""
TAIL_BYTES = 20_000


@dataclass(frozen=True)
class Outcome:
    """Says what a run of the program left."""

    folder: Path
    status: int | None
    """Exit status, below 0 for a signal; None where it could not be started."""
    fault: str
    """Why it could not be started."""
    seconds: float
    is_python: bool
    """Whether any Python began to be watched."""
    old_torch: str
    """The version of a torch that is too old to be watched; else empty."""
    process: str
    """Number of the process that trained, or else of the one that ended last; empty where none used torch."""
    marks: Sequence[Mark]
    facts: Facts
    """What was seen; the empty ones where the program did not come to its end."""

    @property
    def was_cut(self) -> bool:
        """Tell whether the program was ended by what watches it."""
        return self.facts.reason != "ended"

    def read_operations(self) -> Iterator[Record]:
        """Yield the operations that were recorded."""
        path = self.folder / f"records-{self.process}"
        return read_records(path) if path.is_file() else iter(())

    @property
    def kept(self) -> str:
        """Return the file of the tensors that were watched."""
        return str(self.folder / f"kept-{self.process}")

    def read_differences(self) -> dict[str, Difference]:
        """Return how the watched tensors differ from another run's, by label."""
        return parse_differences(_read_text(self.folder / f"difference-{self.process}"))

    def read_tail(self) -> str:
        """Return the last lines that the program printed."""
        with contextlib.suppress(OSError), (self.folder / "output").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
            return "\n".join(lines[-SHOWN_LINES:])
        return ""


def run_watched(words: Sequence[str], wanted: Wanted, *, look: Callable[[int], None]) -> Outcome:
    """Run a program to its end, or to where it is ended.

    Args:
        words: Its command line.
        wanted: What it is run for, with the folder for what it leaves.
        look: Called a few times a second with the number of steps so far.
    """
    folder = Path(wanted.folder)
    folder.mkdir(parents=True)
    write_wanted(wanted, folder / "wanted.json")
    environment = _make_environment(folder / "wanted.json", wanted.fixed)
    started, counter = time.monotonic(), StepCounter(folder)
    with (folder / "output").open("wb") as output:
        keeper = subprocess.Popen(
            command("engine.training.commands.keeper", str(Path.cwd()), *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    assert keeper.stdin is not None, "it is a pipe"
    assert keeper.stdout is not None, "it is a pipe"
    said = b""
    try:
        with contextlib.suppress(BrokenPipeError):
            keeper.stdin.write(json.dumps(environment).encode() + b"\n")
            keeper.stdin.flush()
        while True:
            if select.select([keeper.stdout], [], [], LOOK_S)[0]:
                content = os.read(keeper.stdout.fileno(), 4096)
                said += content
                if not content:
                    break
            look(counter.count())
    finally:
        keeper.stdin.close()  # its end is the order to kill all that the program has started
        keeper.stdout.close()
        keeper.wait()
    status, fault = _parse_end(said.decode(errors="replace"))
    return read_outcome(folder, status, fault, time.monotonic() - started)


def read_outcome(folder: Path, status: int | None, fault: str, seconds: float) -> Outcome:
    """Return what a run left in its folder."""
    process = _read_text(folder / "claimed") or _read_text(folder / "whole")
    return Outcome(
        folder=folder,
        status=status,
        fault=fault,
        seconds=seconds,
        is_python=any(folder.glob("python-*")),
        old_torch=next((path.name[4:] for path in folder.glob("old-*")), ""),
        process=process,
        marks=read_marks(folder / f"marks-{process}"),
        facts=parse_facts(_read_text(folder / f"facts-{process}")),
    )


class StepCounter:
    """Counts the marks of a program that runs."""

    def __init__(self, folder: Path) -> None:
        """Begin with none."""
        self._folder, self._read, self._count = folder, 0, 0

    def count(self) -> int:
        """Return how many there are now."""
        for path in self._folder.glob("marks-*"):
            with path.open("rb") as file:
                file.seek(self._read)
                content = file.read()
            self._read += len(content)
            self._count += content.count(b'["step"')
            break
        return self._count


def _make_environment(wanted: Path, fixed: Sequence[str]) -> dict[str, str]:
    """Return this process's environment with what loads the watcher, and what holds things fixed."""
    environment = dict(os.environ)
    paths = [str(Path(str(loaded.__file__)).parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    environment["NONDET_DIVERGE"] = str(wanted)
    for name in fixed:
        environment |= LEFT_ENV.get(name, {})
    return environment


def _parse_end(said: str) -> tuple[int | None, str]:
    for line in said.splitlines():
        word, _, rest = line.partition(" ")
        if word == "exit":
            return int(rest), ""
        if word == "fault":
            return None, rest
    return None, "it was ended"


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
