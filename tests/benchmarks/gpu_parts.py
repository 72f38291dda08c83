"""What `gpu.py` measures: a process that is given the names of some parts, and prints a record in JSON on each line."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.catalog.work import COUNTED_AS, ROW_EPOCHS
from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.data.datasets import Dataset, load_data
from engine.training.loop import train_runs
from engine.training.memory import is_out_of_memory
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.recording.recorder import is_spent
from engine.training.tasks.images import ImageTask
from engine.training.tasks.preparation import prepare
from engine.training.tasks.side_by_side import SideBySideTask
from engine.training.tasks.task import Task
from engine.training.trials.answering import answer_on_stdout
from engine.training.trials.facts import digest_kernels
from engine.training.trials.step_times import fill_memory, time_task, warm_up
from engine.training.trials.work import count_work
from engine.training.trials.workbench import Workbench
from engine.training.weights import weights_bytes

REPEATS = 100
"""Of the same epoch, to see whether it has the same bits."""

SIDE_BY_SIDE = (2, 4)
"""Replicas in one process, each with a stream of its own."""

Records = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Bench:
    """Where is measured, and how much."""

    device: torch.device
    data: Dataset
    model: ModelRecipe
    batch_size: int
    packs: tuple[int, ...]
    timed_s: float
    repeats: int
    rehearse: bool

    def recipe(self, precision: str, seed: int = 1, *, pack: PackRecipe | None = None) -> Recipe:
        """A replica of Table 1's arm that varies the initialisation."""
        return Recipe(
            data=DataRecipe(preset="synthetic", augment="crop-flip"),
            model=self.model,
            train=TrainRecipe(epochs=500, batch_size=self.batch_size, precision=precision),
            seeds=Seeds(init=seed, shuffle=1, augment=1),
            lowlevel="deterministic",
            device="cuda" if self.device.type == "cuda" else "cpu",
            pack=pack,
        )

    def task(self, precision: str, replicas: int, *, graphs: bool, pack: PackRecipe | None = None) -> Task[Any]:
        """What trains some replicas at once: alone, side by side, or in a pack."""
        set_kernels("deterministic", precision)
        recipes = [self.recipe(precision, seed, pack=pack) for seed in range(1, replicas + 1)]
        return prepare(recipes, self.data, device=self.device, graphs=graphs)

    def cut(self, minibatches: int) -> Bench:
        """The same on some minibatches, and a smaller last one, of the size that an epoch has."""
        rest = len(self.data.train_labels) % self.batch_size or self.batch_size // 2
        kept = slice(0, minibatches * self.batch_size + rest)
        data = replace(self.data, train_inputs=self.data.train_inputs[kept], train_labels=self.data.train_labels[kept])
        return replace(self, data=data)

    @property
    def workbench(self) -> Workbench:
        """The same for the project's own trials."""
        return Workbench(self.data, self.device)


def make_bench(*, rehearse: bool) -> Bench:
    """Data and sizes, on the GPU or for a rehearsal."""
    use_one_thread()
    if not rehearse:
        data = load_data(DataRecipe(preset="synthetic"), root=Path(), search_path=())
        device = torch.device("cuda:0")
        return Bench(device, data.to(device), ModelRecipe(preset="resnet14"), 512, (4, 16), 2.0, REPEATS, rehearse)
    drawn = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (120, 3, 32, 32), generator=drawn, dtype=torch.uint8)
    labels = torch.randint(0, 10, (120,), generator=drawn)
    data = Dataset(inputs[:100], labels[:100], inputs[100:], labels[100:], classes=10, mean=(0.5,) * 3, std=(0.25,) * 3)
    model = ModelRecipe(preset="resnet6", width=0.25)
    return Bench(torch.device("cpu"), data, model, 32, (2,), 0.01, 3, rehearse)


def find_obstacle(*, rehearse: bool) -> str | None:
    """Why nothing can be measured here; None where it can."""
    found = tuple(int(number) for number in torch.__version__.split("+")[0].split(".")[:2])
    if found < (2, 11):
        return f"needs torch 2.11 or newer, and this is {torch.__version__}"
    if not rehearse and not torch.cuda.is_available():
        return "needs a CUDA device and a CUDA build of torch (--rehearse goes through all of it on a CPU)"
    return None


def wait(device: torch.device) -> None:
    """Wait for what was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def find_best_rate(work: Callable[[], object], amount: float, device: torch.device, repeats: int = 10) -> float:
    """Amount per second of the fastest of some repetitions."""
    best = 0.0
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        best = max(best, amount / (time.perf_counter() - started))
    return best


def measure_card(bench: Bench) -> Records:
    """Bandwidth of a copy, read and write counted, and the speed of a product of matrices by precision."""
    cuda = bench.device.type == "cuda"
    name = torch.cuda.get_device_name() if cuda else "a CPU"
    memory = torch.cuda.get_device_properties(0).total_memory if cuda else 0
    source = torch.empty(2**16 if bench.rehearse else 2**28, device=bench.device)
    target = torch.empty_like(source)
    bandwidth = find_best_rate(lambda: target.copy_(source), 2.0 * source.numel() * 4, bench.device)
    peaks = {}
    side = 64 if bench.rehearse else 8192
    for precision in ("fp32", "tf32", "bf16"):
        set_kernels("deterministic", precision)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        one = torch.randn(side, side, device=bench.device).to(dtype)
        peaks[precision] = find_best_rate(lambda one=one: one @ one, 2.0 * side**3, bench.device)
    yield {
        "kind": "card",
        "name": name,
        "memory_gib": memory / 2**30,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "python": sys.version.split()[0],
        "copy_bytes_per_s": bandwidth,
        "product_flops_per_s": peaks,
    }
    for precision in dict.fromkeys(COUNTED_AS.values()):
        set_kernels("deterministic", precision)
        work = count_work(bench.recipe(precision), bench.workbench)
        assert work is not None, "the data are images"
        epoch = work.epoch(len(bench.data.train_labels), len(bench.data.test_labels), bench.batch_size)
        yield {
            "kind": "work",
            "precision": precision,
            "epoch_flops": epoch.flops,
            "epoch_bytes": epoch.moved,
            "epoch_kernels": epoch.kernels,
        }


def measure_design(bench: Bench, precision: str, design: str, make: Callable[[], Task[Any]]) -> Records:
    """Hours for a row, and memory, of one way to train; why not, where it does not fit."""
    cuda = bench.device.type == "cuda"
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    record: dict[str, Any] = {"kind": "design", "precision": precision, "design": design}
    try:
        task = make()
        warm_up(task, bench.device)
        task.evaluate_part()
        seconds = time_task(task, bench.device, bench.timed_s) / task.replicas
        images = len(bench.data.train_labels)
        record |= {"replicas": task.replicas, "epoch_s": seconds, "images_per_s": images / seconds}
        record["row_hours"] = ROW_EPOCHS * seconds / 3600
        # After a recording that failed nothing is recorded in a process any more.
        record["refused"] = is_spent() and design != "eager"
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        record["problem"] = "does not fit into memory"
    record["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
    yield record


def measure_alone(bench: Bench, precision: str) -> Records:
    """Single runs: as they come, recorded, and several of them side by side."""
    yield from measure_design(bench, precision, "eager", lambda: bench.task(precision, 1, graphs=False))
    yield from measure_design(bench, precision, "recorded", lambda: bench.task(precision, 1, graphs=True))
    for replicas in SIDE_BY_SIDE:
        make = partial(bench.task, precision, replicas, graphs=True)
        yield from measure_design(bench, precision, f"{replicas} side by side", make)


def measure_packs(bench: Bench) -> Records:
    """Packs by size, layout and precision, with the memory of whole epochs."""
    for precision in ("fp32", "tf32"):
        for size in bench.packs:
            for last in (False, True):
                pack = PackRecipe(size=size, shared_batch=True, channels_last=last)
                design = f"pack of {size}{', channels last' if last else ''}"

                def make(pack: PackRecipe = pack, precision: str = precision) -> Task[Any]:
                    fill_memory(bench.recipe(precision, pack=pack), bench.workbench)
                    return bench.task(precision, pack.size, graphs=True, pack=pack)

                yield from measure_design(bench, precision, design, make)


def measure_compiled(bench: Bench) -> Records:
    """Single runs whose network torch.compile has made kernels for, recorded and side by side."""

    def make(precision: str, replicas: int) -> Task[Any]:
        task = bench.task(precision, replicas, graphs=True)
        for member in list_members(task):
            member.model.compile(dynamic=False, backend="eager" if bench.rehearse else "inductor")
        return task

    for precision in ("tf32", "bf16", "fp32"):
        for replicas in (1, SIDE_BY_SIDE[0]):
            design = "compiled" if replicas == 1 else f"compiled, {replicas} side by side"
            yield from measure_design(bench, precision, design, partial(make, precision, replicas))


def list_members(task: Task[Any]) -> list[ImageTask]:
    """The single runs of a task."""
    if isinstance(task, ImageTask):
        return [task]
    assert isinstance(task, SideBySideTask), "packs have no single runs"
    return [member for member in task.members if isinstance(member, ImageTask)]


def list_state(task: Task[Any]) -> list[Tensor]:
    """All that an epoch changes: weights, buffers, and what the optimiser keeps."""
    found: list[Tensor] = []
    for member in list_members(task):
        found += member.model.state_dict().values()
        kept = member.optimiser.state.values()
        found += [value for one in kept for value in one.values() if isinstance(value, Tensor)]
    return found


def measure_determinism(bench: Bench) -> Records:
    """An epoch again and again from the same state: kernel by kernel, recorded, and side by side."""
    short = bench.cut(2)
    first: dict[str, str] = {}
    designs: Mapping[str, tuple[int, bool, int]] = {
        "eager": (1, False, max(2, bench.repeats // 10)),
        "recorded": (1, True, bench.repeats),
        f"{SIDE_BY_SIDE[-1]} side by side": (SIDE_BY_SIDE[-1], True, max(2, bench.repeats // 4)),
    }
    for design, (replicas, graphs, repeats) in designs.items():
        task = short.task("fp32", replicas, graphs=graphs)
        for epoch in range(1, 6):  # until every shape is recorded
            task.train_epoch(epoch)
        wait(bench.device)
        state = list_state(task)
        before = [tensor.clone() for tensor in state]
        seen: set[tuple[str, ...]] = set()
        for _ in range(repeats):
            for tensor, value in zip(state, before, strict=True):
                tensor.copy_(value)
            wait(bench.device)
            task.train_epoch(6)
            seen.add(tuple(task.digests()))
        first[design] = min(seen)[0]
        yield {"kind": "determinism", "design": design, "repeats": repeats, "different": len(seen)}
    yield {"kind": "same bits", "designs": list(first), "same": len(set(first.values())) == 1}


def measure_kernels(bench: Bench) -> Records:
    """Gradients of free kernels in this process: others choose their kernels anew."""
    recipe = replace(bench.recipe("fp32"), lowlevel="kernels")
    task = bench.workbench.prepare_single(recipe)
    yield {"kind": "kernels", "digests": [digest[:12] for digest in digest_kernels(recipe, task)]}


def measure_resume(bench: Bench) -> Records:
    """Two runs side by side, killed and gone on with, against the same that nobody kills."""
    with tempfile.TemporaryDirectory() as folder:
        whole = _train_apart(bench, Path(folder, "whole"), kill=False)
        killed = _train_apart(bench, Path(folder, "cut"), kill=True)
        resumed = _train_apart(bench, Path(folder, "cut"), kill=False)
    yield {
        "kind": "resume",
        "killed_after_epoch": killed.get("epoch"),
        "resumed_from_epoch": resumed["from"],
        "same": whole["digests"] == resumed["digests"],
    }


KILLED_AFTER = 3


def _train_apart(bench: Bench, folder: Path, *, kill: bool) -> dict[str, Any]:
    """Train in a process of its own; kill it at the end of an epoch, when earlier checkpoints are there."""
    folder.mkdir(exist_ok=True)
    options = ["--rehearse"] if bench.rehearse else []
    command = [sys.executable, __file__, *options, f"train:{folder}:{KILLED_AFTER if kill else 0}"]
    said: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it was started with pipes"
        for line in process.stdout:
            said = json.loads(line)
            if kill and said.get("epoch") == KILLED_AFTER:
                process.send_signal(signal.SIGKILL)
                break
    if not said:
        raise RuntimeError("the process that trains ended without an answer")
    return said


def train_for_resume(bench: Bench, folder: Path, wait_after: int) -> Records:
    """Train two runs side by side for some epochs, from their checkpoints where there are any.

    Args:
        bench: On what.
        folder: Where the checkpoints are.
        wait_after: The epoch after which this process waits to be killed; 0 for none.
    """
    short = bench.cut(3)
    recipes = [replace(one, train=replace(one.train, epochs=6)) for one in map(partial(bench.recipe, "fp32"), (1, 2))]
    policies = [
        CheckpointPolicy(path=folder / str(run), every_s=0.0, recipe_id=f"run {run}") for run in range(len(recipes))
    ]
    found = [load_checkpoint(policy.path, recipe_id=policy.recipe_id) for policy in policies]
    starts = [start for start in found if start is not None]
    if len({start.epoch for start in starts}) > 1 or len(starts) < len(recipes):
        starts = []

    def tell(run: int, record: Any) -> None:
        if wait_after and record.epoch == wait_after:
            print(json.dumps({"epoch": record.epoch}), file=OUT[0], flush=True)
            time.sleep(60)

    outcomes = train_runs(recipes, short.data, device=bench.device, starts=starts, checkpoints=policies, on_epoch=tell)
    digests = [
        hashlib.sha256(weights_bytes(one.state) + one.predictions.tobytes()).hexdigest()[:16] for one in outcomes
    ]
    yield {"from": starts[0].epoch if starts else 0, "digests": digests}


MEASURES: Mapping[str, Callable[[Bench], Records]] = {
    "card": measure_card,
    "fp32": partial(measure_alone, precision="fp32"),
    "tf32": partial(measure_alone, precision="tf32"),
    "bf16": partial(measure_alone, precision="bf16"),
    "determinism": measure_determinism,
    "resume": measure_resume,
    "kernels-1": measure_kernels,
    "kernels-2": measure_kernels,
    "kernels-3": measure_kernels,
    "packs": measure_packs,
    "compiled": measure_compiled,
}
"""By the names that `gpu.PARTS` has."""

OUT = [sys.stdout]
"""Where records are written."""


def main() -> int:
    """Measure the parts that the command line names."""
    rehearse = "--rehearse" in sys.argv
    names = sys.argv[-1].split(",")
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    with answer_on_stdout() as OUT[0]:
        bench = make_bench(rehearse=rehearse)
        for name in names:
            if name.startswith("train:"):
                _, folder, wait_after = name.split(":")
                records = train_for_resume(bench, Path(folder), int(wait_after))
            else:
                records = MEASURES[name](bench)
            for record in records:
                with contextlib.suppress(BrokenPipeError):
                    print(json.dumps(record), file=OUT[0], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
