"""Small networks on one CPU thread against JAX, which compiles an epoch of all replicas into one program.

JAX is no dependency of the project. Make it an environment of its own, and say which Python has it:

    python3 -m venv ENV && ENV/bin/pip install "jax[cpu]"
    JAX_PYTHON=ENV/bin/python python tests/benchmarks jax_peer

Without JAX_PYTHON this Python is asked. `python tests/benchmarks/jax_peer.py linear hidden-fc` measures some presets.

Both sides are bound to one processor and take turns, so that a busy moment of the machine meets both; what counts is
the processor time, and the median of the ratios of all turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measurement import Measurement

from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.allocator import keep_freed_memory
from engine.training.data.datasets import Dataset, load_data
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.preparation import prepare

SIDE = Path(__file__).parent / "jax_side.py"
FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
DATA = {"linear": "mnist1d", "hidden-fc": "mnist1d", "mnist-cnn": "digits", "resnet6": "digits"}
"""The data of each preset: 4,000 signals of 40 numbers and 10,000 to test, or 1,437 images of 8x8 and 360."""
TEST_SIZE = 10_000
BATCH_SIZE, REPLICAS = 100, 20
ROUNDS, TURN_S = 7, 0.4
FEWEST_ROUNDS, LONGEST_S = 2, 40.0
"""Slow cases take as many turns as fit into this time, but not fewer."""
BUDGETS = {"linear": 2.0, "hidden-fc": 1.0}
"""How many times as long as JAX a replica may take, alone and in packs."""
MOST_EVALUATION = 0.25
"""Share of an epoch that the evaluation may take."""


@dataclass(frozen=True)
class Case:
    preset: str
    replicas: int
    shared: bool
    compiled: bool = False
    """Whether whole steps are compiled, as `compile = true` does for fully connected networks trained alone."""

    @property
    def name(self) -> str:
        if self.replicas == 1:
            return "alone, compiled" if self.compiled else "alone"
        return f"pack of {self.replicas}, {'shared' if self.shared else 'own'}"

    def recipes(self) -> list[Recipe]:
        """Return replicas of other weights, and of another order where batches are not shared."""
        data = DATA[self.preset]
        first = Recipe(
            data=DataRecipe(preset=data, test_size=TEST_SIZE if data == "mnist1d" else None),
            model=ModelRecipe(preset=self.preset),
            train=TrainRecipe(epochs=100_000, batch_size=BATCH_SIZE, lr=0.1, schedule="constant", warmup_epochs=0.0),
            seeds=Seeds(init=1, shuffle=1, lowlevel=1),
            lowlevel="order",
            device="cpu",
            compiled="step" if self.compiled else None,
            pack=None if self.replicas == 1 else PackRecipe(size=self.replicas, shared_batch=self.shared),
        )
        return [
            replace(first, seeds=Seeds(init=k, shuffle=1 if self.shared else k, lowlevel=1 if self.shared else k))
            for k in range(1, 1 + self.replicas)
        ]


@dataclass(frozen=True)
class Turn:
    """Seconds of an epoch of all replicas."""

    wall_s: float
    used_s: float
    """Of the processor."""
    evaluation: float = 0.0
    """The evaluation's share."""


class Own:
    """This program's side of a case."""

    def __init__(self, case: Case, data: Dataset) -> None:
        self.task = prepare(case.recipes(), data, device=torch.device("cpu"), search_path=())
        self.epoch = 0
        self.train()

    def train(self) -> float:
        """Train an epoch and judge the test set, and return the seconds of the latter.

        By the clock: to ask for the time of a process may take as long as an epoch.
        """
        self.epoch += 1
        self.task.train_epoch(self.epoch)
        trained = time.perf_counter()
        evaluations: Sequence[Any] = self.task.evaluate(self.epoch)
        assert all(one.is_finite for one in evaluations)
        return time.perf_counter() - trained

    def take_turn(self) -> Turn:
        used, started, epochs, evaluating = time.process_time(), time.perf_counter(), 0, 0.0
        while time.perf_counter() - started < TURN_S:
            evaluating += self.train()
            epochs += 1
        wall, used = time.perf_counter() - started, time.process_time() - used
        return Turn(wall / epochs, used / epochs, evaluating / wall)


class Peer:
    """JAX's side, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], version: str) -> None:
        self.process, self.version = process, version

    def take_turn(self, case: Case, data: Path) -> Turn:
        assert self.process.stdin is not None
        order = {
            "preset": case.preset,
            "data": str(data),
            "replicas": case.replicas,
            "shared": case.shared,
            "batch_size": BATCH_SIZE,
            "seconds": TURN_S,
        }
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(_read(self.process))
        return Turn(answer["wall_s"], answer["used_s"], answer["evaluation"])


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{SIDE.name} ended without an answer (exit status {process.wait()})")
    return line


@contextmanager
def start_peer() -> Generator[Peer | None]:
    """Start JAX's side; None where no Python has JAX."""
    python = os.environ.get("JAX_PYTHON", sys.executable)
    if not _has_jax(python):
        if "JAX_PYTHON" in os.environ:
            raise SystemExit(f"JAX_PYTHON = {python} is no Python that has JAX: ENV/bin/pip install 'jax[cpu]'")
        yield None
        return
    environment = os.environ | {"XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
    with subprocess.Popen(
        [python, SIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Peer(process, json.loads(_read(process))["version"])
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _has_jax(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", "import jax, numpy"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def keep_data(data: Dataset, folder: Path) -> Path:
    """Write a data set where JAX's side reads it."""
    path = folder / "data.npz"
    names = ("train_inputs", "train_labels", "test_inputs", "test_labels")
    arrays: dict[str, Any] = {name: np.asarray(getattr(data, name)) for name in names}
    np.savez(path, **arrays)
    return path


@dataclass(frozen=True)
class Comparison:
    case: Case
    own: list[Turn]
    peer: list[Turn]

    @property
    def ratios(self) -> list[float]:
        return [one.used_s / other.used_s for one, other in zip(self.own, self.peer, strict=True)]

    @property
    def evaluation(self) -> float:
        return statistics.median(turn.evaluation for turn in self.own)

    def describe(self) -> str:
        per_replica = 1e3 / self.case.replicas
        own, wall = (
            per_replica * statistics.median(getattr(turn, name) for turn in self.own) for name in ("used_s", "wall_s")
        )
        line = f"{self.case.preset:10} {self.case.name:18} {own:8.2f} {wall:8.2f} {100 * self.evaluation:5.0f} %"
        if not self.peer:
            return line
        peer = per_replica * statistics.median(turn.used_s for turn in self.peer)
        ratios = sorted(self.ratios)
        test = statistics.median(turn.evaluation for turn in self.peer)
        line = f"{line} {peer:8.2f} {100 * test:5.0f} %"
        return f"{line} {statistics.median(ratios):7.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def compare(case: Case, peer: Peer | None, folder: Path) -> Comparison:
    data = load_data(case.recipes()[0].data, root=Path("/nonexistent"), search_path=())
    kept, own = keep_data(data, folder), Own(case, data)
    ours: list[Turn] = []
    theirs: list[Turn] = []
    if peer is not None:
        peer.take_turn(case, kept)  # compiles
    started = time.perf_counter()
    for turn in range(ROUNDS):
        if turn >= FEWEST_ROUNDS and time.perf_counter() - started > LONGEST_S:
            break
        ours.append(own.take_turn())
        if peer is not None:
            theirs.append(peer.take_turn(case, kept))
    return Comparison(case, ours, theirs)


def measure(presets: Sequence[str] = tuple(DATA)) -> Measurement:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    set_kernels("order", "fp32")
    use_one_thread()
    keep_freed_memory()
    found: list[Comparison] = []
    with tempfile.TemporaryDirectory() as folder, start_peer() as peer:
        for preset in presets:
            compiled = [Case(preset, 1, True, compiled=True)] if preset in BUDGETS else []
            packs = Case(preset, REPLICAS, True), Case(preset, REPLICAS, False)
            for case in (Case(preset, 1, True), *compiled, *packs):
                found.append(compare(case, peer, Path(folder)))
                print(found[-1].describe(), flush=True)
        version = None if peer is None else peer.version
    head = f"ms of the processor per replica and epoch, one thread; torch {torch.__version__}"
    head += ", against JAX " + version if version else "; JAX was not found: set JAX_PYTHON to a Python that has it"
    columns = f"{'preset':10} {'replicas':18} {'own':>8} {'(wall)':>8} {'test':>7}"
    columns += f" {'JAX':>8} {'test':>7} {'ratio':>7} (of turns)"
    lines = "".join(f"\n    {line}" for line in [columns, *(one.describe() for one in found)])
    budget = f"{', '.join(f'{name} {most:g}x JAX' for name, most in BUDGETS.items())}, evaluation {MOST_EVALUATION:.0%}"
    within = all(
        (not one.peer or statistics.median(one.ratios) <= BUDGETS[one.case.preset])
        and one.evaluation <= MOST_EVALUATION
        for one in found
        if one.case.preset in BUDGETS
    )
    return Measurement(head + lines, budget, within if version else None)


if __name__ == "__main__":
    print(measure(sys.argv[1:] or tuple(DATA)).text)
