"""`make bench-gpu`: packs of resnet14 on one CUDA GPU, by size and precision; hours for a row of Table 1 from that.

Batches of 512 CIFAR-shaped images, cropped and flipped on the device. Beside images per second and memory it prints
the share of the card's own bandwidth and arithmetic, both measured first, a profile of where the rest of the time
goes, whether 100 repetitions of the packed step have the same bits, and what several processes on one GPU do.

`--rehearse` runs all of it in a minute on a CPU, on little data, to see that it works: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from engine.protocol.load import load_protocol
from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.stacked_images import StackedImageTask
from engine.training.trials.pack_validity import check_pack
from engine.training.trials.step_times import prepare_replicas, time_task, train_steps, warm_up
from engine.training.trials.workbench import Workbench
from engine.tuning.slot_trial import try_slots

TABLE_ROW = 100 * 500
"""Epochs of a row: 100 replicas, 500 epochs each."""

REPEATS = 100
PROFILED_STEPS = 20


@dataclass(frozen=True)
class Bench:
    """What is measured, and where."""

    device: torch.device
    data: Dataset
    preset: str
    sizes: tuple[int, ...]
    precisions: tuple[str, ...]
    batch_size: int
    timed_s: float

    def recipe(self, size: int, precision: str, *, channels_last: bool = False) -> Recipe:
        kind = "cuda" if self.device.type == "cuda" else "cpu"
        return Recipe(
            data=DataRecipe(preset="synthetic", augment="crop-flip"),
            model=ModelRecipe(preset=self.preset),
            train=TrainRecipe(epochs=500, batch_size=self.batch_size, precision=precision),
            seeds=Seeds(init=1, shuffle=1, augment=1),
            lowlevel="deterministic",
            device=kind,
            pack=PackRecipe(size=size, shared_batch=True, channels_last=channels_last),
        )

    def prepare(self, recipe: Recipe, *, graphs: bool) -> StackedImageTask:
        set_kernels(recipe.lowlevel, recipe.train.precision)
        task = prepare_replicas(recipe, Workbench(self.data, self.device, graphs=graphs))
        assert isinstance(task, StackedImageTask), "the data are images"
        return task


class Traffic(TorchDispatchMode):
    """Bytes that operations read and write if each reads its inputs once and writes its outputs once."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        flat = [t for t in _pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        made = [t for t in _pytree.tree_leaves(result) if isinstance(t, Tensor)]
        if not func.is_view:
            self.total += sum(t.numel() * t.element_size() for t in (*flat, *made))
        return result


def best_rate(work: Callable[[], object], amount: float, device: torch.device) -> float:
    """Amount per second of the fastest of some repetitions."""
    best = 0.0
    for _ in range(10):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        best = max(best, amount / (time.perf_counter() - started))
    return best


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure_card(bench: Bench) -> tuple[float, dict[str, float]]:
    """Bytes per second of a copy, read and write counted; operations per second of a product by precision."""
    large = bench.device.type == "cuda"
    source = torch.empty(2**28 if large else 2**22, device=bench.device)
    target = torch.empty_like(source)
    bandwidth = best_rate(lambda: target.copy_(source), 2.0 * source.numel() * 4, bench.device)
    side = 8192 if large else 512
    one = torch.randn(side, side, device=bench.device)
    peaks = {}
    for precision in bench.precisions:
        set_kernels("deterministic", precision)
        peaks[precision] = best_rate(lambda: one @ one, 2.0 * side**3, bench.device)
    return bandwidth, peaks


def count_work(bench: Bench, precision: str) -> tuple[float, float]:
    """Operations and bytes of one image of one replica in a training step; the bytes are a lower bound."""
    task = bench.prepare(bench.recipe(2, precision), graphs=False)
    with FlopCounterMode(display=False) as flops:
        train_steps(task, 1)
    with Traffic() as traffic:
        train_steps(task, 1)
    images = 2 * bench.batch_size
    return flops.get_total_flops() / images, traffic.total / images


def measure_sizes(bench: Bench) -> None:
    bandwidth, peaks = measure_card(bench)
    shown = ", ".join(f"{name} {peak / 1e12:.1f} TFLOP/s" for name, peak in peaks.items())
    print(f"card: copy {bandwidth / 1e9:.0f} GB/s, product of matrices {shown}")
    header = "images/s/replica  images/s   GiB  bandwidth  arithmetic  hours for a row"
    for precision in bench.precisions:
        operations, moved = count_work(bench, precision)
        print(f"{precision}: {operations / 1e6:.1f} MFLOP and {moved / 1e6:.2f} MB per image and step")
        print(f"{'K':>14}  {header}")
        for size in bench.sizes:
            for channels_last in (False, True):
                with suppress(torch.OutOfMemoryError):
                    recipe = bench.recipe(size, precision, channels_last=channels_last)
                    print(_measure_size(bench, recipe, operations / peaks[precision], moved / bandwidth), flush=True)


def _measure_size(bench: Bench, recipe: Recipe, busy_s: float, moving_s: float) -> str:
    """A line of the table; the shares are seconds that the card needs at its best for what is done in a second."""
    assert recipe.pack is not None
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    task = bench.prepare(recipe, graphs=True)
    warm_up(task, bench.device)
    seconds = time_task(task, bench.device, bench.timed_s) / recipe.pack.size
    memory = torch.cuda.max_memory_allocated() if bench.device.type == "cuda" else 0
    # An epoch's evaluation is a forward pass, a third of a step, on a fifth of the images: within the same seconds.
    rate = len(bench.data.train_labels) / seconds
    layout = "channels last" if recipe.pack.channels_last else ""
    return (
        f"{recipe.pack.size:>14}  {rate / recipe.pack.size:>16,.0f}  {rate:>8,.0f}  {memory / 2**30:>4.1f}  "
        f"{rate * moving_s:>9.0%}  {rate * busy_s:>10.0%}  {TABLE_ROW * seconds / 3600:>15.2f} {layout}"
    )


def measure_repeats(bench: Bench) -> None:
    """The same packed step again and again from the same weights."""
    task = bench.prepare(bench.recipe(bench.sizes[1], bench.precisions[0]), graphs=False)
    batch, keys = next(iter(task.batches(1))), task.draw_keys(1)
    task.pack.eval()  # running statistics would make the second repetition another step
    digests = set()
    for _ in range(REPEATS):
        task.pack.optimiser.zero_grad(set_to_none=True)
        task.losses(batch.inputs, batch.labels, batch.examples, keys).sum().backward()
        flat = torch.cat([p.grad.reshape(-1) for p in task.pack.stacked.values() if p.grad is not None])
        digests.add(hashlib.sha256(flat.cpu().numpy().tobytes()).hexdigest())
    print(f"{REPEATS} repetitions of a packed step: {len(digests)} different gradients")
    recipe = bench.recipe(bench.sizes[1], bench.precisions[0])
    print(check_pack(recipe, Workbench(bench.data, bench.device)))


def measure_profile(bench: Bench) -> None:
    """Where the time of a step goes, kernel by kernel, without a recorded graph."""
    task = bench.prepare(bench.recipe(bench.sizes[-1], bench.precisions[0]), graphs=False)
    warm_up(task, bench.device)
    cuda = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    wait(bench.device)
    started = time.perf_counter()
    with profile(activities=activities) as profiler:
        train_steps(task, PROFILED_STEPS)
        wait(bench.device)
    wall_us = 1e6 * (time.perf_counter() - started)
    events = profiler.key_averages()
    name = "self_device_time_total" if cuda else "self_cpu_time_total"
    busy_us = sum(getattr(event, name) for event in events)
    print(f"profile of {PROFILED_STEPS} steps: {busy_us / wall_us:.0%} of {wall_us / 1e6:.2f} s in kernels")
    for event in sorted(events, key=lambda event: -getattr(event, name))[:15]:
        print(f"    {getattr(event, name) / busy_us:>5.1%}  {event.count:>6}  {event.key[:90]}")


def measure_processes(bench: Bench) -> None:
    """Several processes on one device, each with a run of its own."""
    devices = "auto" if bench.device.type == "cuda" else "cpu"
    text = (
        f'[protocol]\nname = "x"\n[data]\npreset = "synthetic"\n[model]\npreset = "{bench.preset}"\n'
        f'[dispatch]\ndevices = "{devices}"\n[[arm]]\nname = "a"\nvary = ["init"]\n'
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.toml"
        file.write_text(text)
        recipe = replace(bench.recipe(1, bench.precisions[0]), pack=None)
        counts = [1, 2, 4, 8] if bench.device.type == "cuda" else [1, 2]
        for count, rate in try_slots(load_protocol(file), recipe, counts):
            print(f"{count} processes: {rate:.3g} epochs of a run per second")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with little data")
    rehearse = parser.parse_args().rehearse
    if not rehearse and not torch.cuda.is_available():
        print("make bench-gpu needs a CUDA device and a CUDA build of torch", file=sys.stderr)
        return 2
    use_one_thread()
    device = torch.device("cpu" if rehearse else "cuda:0")
    data = load_data(DataRecipe(preset="synthetic", train_size=96 if rehearse else 0), root=Path(), search_path=())
    if rehearse:
        data = replace(data, test_inputs=data.test_inputs[:32], test_labels=data.test_labels[:32])
        bench = Bench(device, data, "resnet6", (1, 2), ("fp32",), 32, 0.01)
    else:
        name = torch.cuda.get_device_name()
        print(f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}")
        bench = Bench(device, data.to(device), "resnet14", (1, 4, 16, 32, 64), ("fp32", "tf32"), 512, 3.0)
    measure_sizes(bench)
    measure_repeats(bench)
    measure_profile(bench)
    measure_processes(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
