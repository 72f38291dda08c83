"""Runs programs that are watched in forks of one process that has imported torch already: the import takes seconds.

All that is watched is put in place as in a Python that has just started, but for what starts with Python itself: the
module `sitecustomize` and the seed of hashes, which the tests of whole commands show.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import runpy
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which the first step of an optimiser imports

from engine.tracing.start import begin
from engine.tracing.wanted import Wanted, write_wanted
from tui.commands.diverge_process import Outcome, read_outcome

ROOT = Path(__file__).parents[2]


class Forks:
    """Holds the process that is forked."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.watched_fork"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="2"),
        )

    def run(self, words: Sequence[str], wanted: Wanted, /, *, look: Callable[[int], None]) -> Outcome:
        """Run a program, whose words are its path alone, to its end."""
        folder, started = Path(wanted.folder), time.monotonic()
        folder.mkdir(parents=True)
        write_wanted(wanted, folder / "wanted.json")
        request = {"wanted": str(folder / "wanted.json"), "program": words[0], "output": str(folder / "output")}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        look(0)
        return read_outcome(folder, status, "", time.monotonic() - started)

    def close(self) -> None:
        self._server.communicate()


def serve() -> None:
    """Fork once per line of standard input, and answer with the exit status."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run_program(request))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def run_program(request: dict[str, Any]) -> int:
    """Do in a fork what a Python does that is watched."""
    output = os.open(request["output"], os.O_CREAT | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(Path(request["program"]).parent)
    torch.default_generator.seed()  # as in a process of its own
    random.setstate(random.Random().getstate())
    try:
        for action in begin(Path(request["wanted"])).values():
            action()
        runpy.run_path(request["program"], run_name="__main__")
        atexit._run_exitfuncs()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve()
