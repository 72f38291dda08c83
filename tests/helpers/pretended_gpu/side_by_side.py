"""Checks of single runs on a pretended GPU: recorded, side by side, resumed, without memory, without waits."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from engine.dispatch import launch
from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.queue import NotTaken, RunQueue
from engine.protocol.load import parse_protocol
from engine.recipe import BitChange, EvaluateRecipe, Onset, Recipe
from engine.study.control import Control
from engine.study.epochs import EpochRecord
from engine.study.study_plan import read_plan
from engine.training import room, worker
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.loop import Outcome, train_runs
from engine.training.memory import try_in_memory
from engine.training.random.seeding import set_kernels
from engine.training.recording import repeater
from engine.training.recording.lanes import MOST_LANES
from engine.training.recording.recorder import CudaRecorder, is_spent
from engine.training.run_files import Claimed, describe_attempt
from engine.training.stopping import Leaving, Requests, Stopped
from engine.training.tasks.images import ImageTask
from engine.training.tasks.side_by_side import SideBySideTask, prepare
from engine.training.trials.side_by_side import prepare_rival
from engine.training.trials.step_times import time_task
from engine.training.trials.workbench import Workbench
from tests.helpers.pretended_gpu.cases import Checks, digest, hear_refusals, make_images, make_recipe
from tests.helpers.pretended_gpu.cuda import pretend_cuda
from tests.helpers.pretended_gpu.device import CPU, CUDA, Counts
from tests.helpers.pretended_gpu.graphs import USUAL
from tests.helpers.pretended_gpu.images import DROPPING, LARGE, SMALL
from tests.helpers.pretended_gpu.races import CURRENT

SHORT = 11
"""Examples of three steps, the last of them smaller."""


def make_runs(recipe: Recipe, count: int = 2) -> list[Recipe]:
    """Runs that differ in every seed; the last one's bit is moved."""
    runs = [
        replace(recipe, seeds=replace(recipe.seeds, init=seed, shuffle=seed, augment=seed, stochastic=seed))
        for seed in range(1, count + 1)
    ]
    return [*runs[:-1], replace(runs[-1], bit=BitChange(seed=1))]


def train_on(device: torch.device, recipes: Sequence[Recipe], data: Dataset | Corpus, **arguments: Any) -> list[str]:
    """Digests of what runs leave that are trained at once, with the loss of their last epoch."""
    losses: dict[int, float | None] = {}
    note = arguments.pop("on_epoch", lambda run, record: None)

    def on_epoch(run: int, record: EpochRecord) -> None:
        losses[run] = record.train_loss
        note(run, record)

    outcomes = train_runs(recipes, data, device=device, on_epoch=on_epoch, leaving=Leaving(_refuse_end), **arguments)
    return [f"{one} {losses[run]!r}" for run, one in enumerate(digest(outcomes))]


def _refuse_end(run: int, error: Exception) -> None:
    raise AssertionError(f"run {run} ended: {error}") from error


def train(recipes: Sequence[Recipe], data: Dataset | Corpus, **arguments: Any) -> list[str]:
    """The same on the GPU, recorded unless it is said otherwise."""
    with pretend_cuda(), hear_refusals() as heard:
        found = train_on(CUDA, recipes, data, **arguments)
        assert CURRENT[0] is USUAL, "the usual stream is current again"
    assert not heard, heard
    return found


def check_runs(recipes: Sequence[Recipe]) -> None:
    """Side by side, recorded alone, and alone one by one: all have the same bits."""
    data = make_images(SHORT)
    by_hand = [train([recipe], data, graphs=False)[0] for recipe in recipes]
    with patch.object(repeater, "WARM_UP_STEPS", 1):
        assert train(recipes[-1:], data) == by_hand[-1:], "recorded steps have other bits"
        assert train(recipes, data) == by_hand, "runs side by side have other bits"


def check_preset(preset: str) -> None:
    """A preset has the predictions that it has on the CPU, alone, where the same kernels compute them."""
    large = preset in LARGE
    recipes, data = make_runs(make_recipe(preset, epochs=1 if large else 3)), make_images(SHORT)
    with patch.object(repeater, "WARM_UP_STEPS", 1):
        assert train(recipes, data) == train_on_cpu(recipes, data), "runs side by side have other bits than on the CPU"
        if large:  # its second epoch is replayed, at other rates
            alone = [make_recipe(preset)]
            assert train(alone, data) == train_on_cpu(alone, data), "a run alone has other bits than on the CPU"


def train_on_cpu(recipes: Sequence[Recipe], data: Dataset) -> list[str]:
    """The same on the CPU, one after the other."""
    return [train_on(CPU, [replace(recipe, device="cpu")], data)[0] for recipe in recipes]


def check_onset(lowlevel: Any) -> None:
    """A bit that is moved late, and kernels that are free from then on, change what is recorded."""
    runs = make_runs(make_recipe("resnet6", epochs=4))
    late = [replace(run, onset=Onset(epoch=2, seeds=runs[0].seeds, lowlevel="deterministic")) for run in runs]
    if lowlevel != "deterministic":
        late = [replace(late[0], lowlevel=lowlevel)]
    check_runs(late)
    recording = patch.object(CudaRecorder, "record", autospec=True, side_effect=CudaRecorder.record)
    with patch.object(repeater, "WARM_UP_STEPS", 1), recording as record:
        train(late, make_images(SHORT))
    assert record.call_count == 2 * 3 * len(late), "steps, last steps and passes of the test set are recorded anew"


def check_own_network() -> None:
    """A user's network has a process of its own, and its steps are recorded, with the masks that they have on a CPU."""
    recipe = replace(make_recipe("linear", epochs=3), model=DROPPING)
    recipes = [replace(recipe, seeds=replace(recipe.seeds, stochastic=3))]
    check_runs(recipes)
    assert train(recipes, make_images(SHORT)) == train_on_cpu(recipes, make_images(SHORT)), "its masks have other bits"


def check_refused() -> None:
    """Where one network cannot be recorded, it and the others are taken kernel by kernel, with the same bits."""
    recipes, data = make_runs(make_recipe("hidden-conv")), make_images()
    wanted = train(recipes, data, graphs=False)
    descend = ImageTask.descend

    def look(task: ImageTask, *given: Any) -> Any:
        if task.recipe.bit is not None:
            torch.tensor([1.0, 2.0], device=CUDA)
        return descend(task, *given)

    with patch.object(ImageTask, "descend", look), pretend_cuda(), hear_refusals() as heard:
        assert train_on(CUDA, recipes, data) == wanted
        assert len(heard) == 1, heard
        assert is_spent(), "the next run wants another process"
        assert CURRENT[0] is USUAL, "the usual stream is current again"
        assert train_on(CUDA, recipes, data) == wanted, "nothing is recorded any more"
        assert len(heard) == 1, heard


def check_resumed(optimizer: str) -> None:
    """Runs that go on from checkpoints end with the bits of runs that were never stopped."""
    recipes, seen = make_runs(make_recipe("resnet6", epochs=3, optimizer=optimizer)), [0]
    data = make_images(SHORT)
    with tempfile.TemporaryDirectory() as folder:
        policies = [CheckpointPolicy(path=Path(folder) / one.id, every_s=0.0, recipe_id=one.id) for one in recipes]
        with contextlib.suppress(Stopped):
            train(
                recipes,
                data,
                checkpoints=policies,
                should_stop=lambda: seen[0] >= 2,
                on_epoch=lambda run, record: seen.__setitem__(0, record.epoch),
            )
        found = [load_checkpoint(policy.path, recipe_id=policy.recipe_id) for policy in policies]
    starts = [start for start in found if start is not None]
    assert [start.epoch for start in starts] == [2, 2]
    assert train(recipes, data, starts=starts) == train(recipes, data)


def check_memory() -> None:
    """A lack of memory ends all runs, in a recording too, after which the process is given up."""
    fail_in_memory(recording=False)
    fail_in_memory(recording=True)


def fail_in_memory(*, recording: bool) -> None:
    """Have memory run out in the first step, or in the first one that is recorded."""
    recipes, data, ended = make_runs(make_recipe("hidden-conv", epochs=3)), make_images(), []
    descend = ImageTask.descend

    def run_out(task: ImageTask, *given: Any) -> Any:
        if not recording or torch.cuda.is_current_stream_capturing():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return descend(task, *given)

    def work() -> list[Outcome]:
        return train_runs(recipes, data, device=CUDA, leaving=Leaving(lambda run, error: ended.append(run)))

    with patch.object(ImageTask, "descend", run_out), pretend_cuda():
        assert try_in_memory(work) is None, "there was room"
        assert not ended, "none of them ended by itself"
        assert is_spent() is recording
        assert CURRENT[0] is USUAL, "the usual stream is current again"


def check_room() -> None:
    """As many runs are trained at once as fit into what is free, four at most."""
    recipe, data = make_recipe("linear"), make_images()
    memory = {"memory_allocated": 1000, "max_memory_allocated": 1100, "reset_peak_memory_stats": None}
    found: list[int] = []
    for free in (10, 100, 320, 10_000):
        with pretend_cuda(), contextlib.ExitStack() as stack:
            for name, value in memory.items():
                stack.enter_context(patch.object(torch.cuda, name, lambda *_, value=value: value))
            stack.enter_context(patch.object(torch.cuda, "mem_get_info", lambda *_, free=free: (free, 20_000)))
            found.append(room.find_room(recipe, data, ()))
    assert found == [1, 1, 2, MOST_LANES], found
    with pretend_cuda(largest_bytes=10):
        assert room.find_room(recipe, make_images(1, 1), ()) == 1


def check_rivals() -> None:
    """Slots are tried with processes that train as many runs at once as a worker would; free kernels are alone."""
    recipe = make_recipe("linear")
    with pretend_cuda():
        bench = Workbench(make_images(SHORT).to(CUDA), CUDA)
        for one, wanted in ((recipe, 3), (replace(recipe, lowlevel="kernels"), 1)):
            task = prepare_rival(one, bench, 3)
            assert task.replicas == wanted, (one.lowlevel, task.replicas)
            assert time_task(task, CUDA, 0.0) > 0


STEPS = 8


def count_epoch(recipe: Recipe, runs: int, *, graphs: bool = True, size: int = 8) -> tuple[Counts, Counts]:
    """Count what is done between the steps of the fifth epoch, and in all of it, and its evaluation."""
    recipe = replace(recipe, train=replace(recipe.train, batch_size=64, epochs=9))
    with pretend_cuda() as device:
        set_kernels("deterministic", "fp32")
        data = make_images(64 * STEPS - 10, size).to(CUDA)
        task = prepare(make_runs(recipe, runs), data, device=CUDA, graphs=graphs)
        steps = watch(task, lambda: device.counts)
        training = device.counts
        for epoch in range(1, 6):
            device.forget()
            task.train_epoch(epoch)
            training = device.counts
            device.forget()
            task.evaluate(epoch)
        assert not task.ended, task.ended
    assert len(steps) == 5 * STEPS * runs
    assert not any(steps[1:]), "somebody waits, or copies, in a step behind the first, which copies mean and SD"
    return training, device.counts


def watch(task: SideBySideTask, counts: Callable[[], Counts]) -> list[int]:
    """Note for every step of every member how often it waits and copies."""
    found: list[int] = []

    def note(take: Callable[[int, int], object], epoch: int, step: int) -> None:
        before = counts().waits.total() + counts().copies
        take(epoch, step)
        found.append(counts().waits.total() + counts().copies - before)

    for member in task.members:
        assert member is not None
        member.take_step = partial(note, member.take_step)  # pyright: ignore[reportAttributeAccessIssue] - of this one alone
    return found


def check_waits() -> None:
    """Nothing is copied and nobody waits between the steps; an epoch of a run is one copy and one wait."""
    for runs in (1, 3):
        training, evaluation = count_epoch(make_recipe("hidden-conv"), runs)
        assert training.copies == runs, training.copies
        assert training.waits.total() == runs, training.waits
        assert evaluation.copies == 0
        assert evaluation.waits.total() == 2 * runs, evaluation.waits


def check_launches() -> None:
    """A step is launched as one graph, beside its batch, its keys and its rates."""
    recipe = make_recipe("hidden-conv")
    recorded, passed = count_epoch(recipe, 2)
    by_hand, passed_by_hand = count_epoch(recipe, 2, graphs=False)
    assert recorded.kernels >= by_hand.kernels > 2 * STEPS * 30
    assert recorded.launches <= 2 * (5 * STEPS + 3), recorded.launches
    assert passed.launches < passed_by_hand.launches, "the test set's passes are recorded too"


def check_lanes() -> None:
    """Six runs share four lanes, whose recordings share memory and so are replayed on one stream."""
    recipes, data = make_runs(make_recipe("hidden-conv"), 6), make_images()
    assert train(recipes, data) == [train([recipe], data, graphs=False)[0] for recipe in recipes]
    with pretend_cuda():
        task = prepare(recipes, data.to(CUDA), device=CUDA)
        assert [task.lanes.index(lane) for lane in task.lanes] == [0, 1, 2, 3, 0, 1]
        assert len({id(lane.stream) for lane in task.lanes}) == MOST_LANES


PROTOCOL = """
protocol = {name = "pretended", replicas = 2}
data = {preset = "digits", train_size = 100}
model = {preset = "hidden-fc"}
train = {epochs = 3, batch_size = 40, lr = 0.1, warmup_epochs = 1}
arm = [{name = "Init", vary = ["init"]}, {name = "Bit", vary = ["bit"]}]
"""


def train_study(folder: Path, side_by_side: str, text: str = PROTOCOL) -> tuple[dict[str, bytes], list[int]]:
    """Train a study on the GPU as a worker does: what its runs predict, and how many were claimed at once."""
    settings = ("dispatch.devices=cuda", f"dispatch.side_by_side={side_by_side}")
    protocol = parse_protocol(text, file=str(folder / "pretended.toml"), overrides=settings)
    with patch.object(launch, "open_executor", lambda *_: SimpleNamespace(device="cuda", gpus=())):
        paths = prepare_study(protocol, plan_protocol(protocol), store=str(folder / "store"))
    plan, record = read_plan(paths), describe_attempt("now", "cuda:0/0")
    counts: list[int] = []

    def claim(wanted: Any = None) -> Claimed | NotTaken:
        found = RunQueue(paths, "now").claim_next(plan, control=Control(), record=record, wanted=wanted)
        return found if isinstance(found, NotTaken) else Claimed(paths, plan, found.run_id, found.attempt)

    while isinstance(claimed := claim(), Claimed):
        before = len(list(paths.runs.glob("*/result.json")))
        assert worker._train_claimed(claimed, Requests(paths), worker.Kept("now"), claim) is None
        counts.append(len(list(paths.runs.glob("*/result.json"))) - before)
    return {run: paths.run(run).predictions.read_bytes() for run in plan.order}, counts


def check_worker(text: str = PROTOCOL) -> None:
    """A worker trains runs of all arms side by side, with the bits of runs alone."""
    found: list[dict[str, bytes]] = []
    for side_by_side, wanted in (("1", [1, 1, 1, 1]), ("3", [3, 1]), ('"auto"', [4])):
        with tempfile.TemporaryDirectory() as folder, pretend_cuda(), contextlib.ExitStack() as stack:
            for name in ("memory_allocated", "max_memory_allocated", "reset_peak_memory_stats"):
                stack.enter_context(patch.object(torch.cuda, name, lambda *_: 0))
            stack.enter_context(patch.object(torch.cuda, "mem_get_info", lambda *_: (10**9, 10**9)))
            predictions, counts = train_study(Path(folder), side_by_side, text)
        assert counts == wanted, (side_by_side, counts)
        found.append(predictions)
    assert found[0] == found[1] == found[2]


SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "clip": {"clip_grad_norm": 1.0},
    "bf16": {"precision": "bf16"},
    "noise": {"weight_noise": 0.1},
    "swa": {"averaging": "swa"},
    "aswa": {"averaging": "aswa"},
    "snapshot": {"schedule": "snapshot", "cycles": 2},
}


def check_setting(**train: Any) -> None:
    """As `check_runs`, under a setting of the training."""
    recipe = make_recipe("resnet6", **train)
    check_runs(make_runs(recipe))


def check_views_and_order() -> None:
    """As `check_runs`, with test-time views and an order inside the minibatches."""
    recipe = make_recipe("resnet6")
    views = replace(recipe, evaluate=EvaluateRecipe(flip=True, crops=9), lowlevel="order")
    check_runs([replace(run, seeds=replace(run.seeds, lowlevel=1)) for run in make_runs(views)])


PRESETS: Checks = {preset: partial(check_preset, preset) for preset in (*SMALL, *LARGE)}

SIDE_BY_SIDE: Checks = {
    **{name: partial(check_setting, **train) for name, train in SETTINGS.items()},
    "views and order": check_views_and_order,
    "late bit": partial(check_onset, "deterministic"),
    "kernels from an onset on": partial(check_onset, "kernels"),
    "own network": check_own_network,
    "cannot be recorded": check_refused,
    "resumed sgd": partial(check_resumed, "sgd"),
    "resumed adam": partial(check_resumed, "adam"),
    "memory": check_memory,
    "room": check_room,
    "rivals": check_rivals,
    "waits": check_waits,
    "launches": check_launches,
    "lanes": check_lanes,
    "worker": check_worker,
}
