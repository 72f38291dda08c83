"""Checks of language models' single runs on a pretended GPU: recorded, side by side, resumed, without waits."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from engine.recipe import BitChange, Onset, Recipe
from engine.training import room, worker
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.data.text import Corpus
from engine.training.random.seeding import set_kernels
from engine.training.recording import repeater
from engine.training.recording.lanes import MOST_LANES
from engine.training.recording.recorder import CudaRecorder
from engine.training.stopping import Stopped
from engine.training.tasks import text, text_reading, text_steps
from engine.training.tasks.side_by_side import prepare
from engine.training.tasks.text import TextTask
from engine.training.trials.side_by_side import prepare_rival
from engine.training.trials.workbench import Workbench
from tests.helpers.pretended_gpu.cases import Checks
from tests.helpers.pretended_gpu.cuda import pretend_cuda
from tests.helpers.pretended_gpu.device import CPU, CUDA, Counts
from tests.helpers.pretended_gpu.side_by_side import check_worker, train, train_on, watch
from tests.helpers.pretended_gpu.text import make_text_recipe

VOCABULARY = 30


def make_corpus(train: int = 230, others: int = 63) -> Corpus:
    """Words at random: five streams of 46 words, and ten of 7 that are judged."""
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(0, VOCABULARY, (train + 2 * others,), generator=generator)
    parts = words.split([train, others, others])
    return Corpus(*parts, vocabulary=tuple(map(str, range(VOCABULARY))))


def make_runs(recipe: Recipe, count: int = 2) -> list[Recipe]:
    """Runs that differ in every seed, and so in how they cut the text; the last one's bit is moved."""
    runs = [
        replace(
            recipe, seeds=replace(recipe.seeds, init=seed, stochastic=seed, lowlevel=recipe.seeds.lowlevel and seed)
        )
        for seed in range(1, count + 1)
    ]
    return [*runs[:-1], replace(runs[-1], bit=BitChange(seed=1))]


def make_recipe(**train: Any) -> Recipe:
    """Of segments of eight words, more or less."""
    recipe = make_text_recipe(**({"bptt": 8, "epochs": 2} | train))
    return replace(recipe, model=replace(recipe.model, args=tuple(sorted(dict(recipe.model.args, hidden=6).items()))))


@contextlib.contextmanager
def few_lengths(short: float = 0.3) -> Iterator[None]:
    """Cut segments of few lengths, each of which is recorded at its second step; averaged SGD begins at once."""
    with (
        patch.object(text_steps, "SEGMENT_SD", 0.0),
        patch.object(text_steps, "SHORT_SEGMENTS", short),
        patch.object(repeater, "WARM_UP_STEPS", 1),
        patch.object(text, "stagnates", lambda losses, loss: True),
        patch.object(text_reading, "EVALUATION_SEGMENT", 4),
    ):
        yield


def check_runs(recipes: Sequence[Recipe]) -> None:
    """Side by side and recorded, and alone, kernel by kernel: both have the same bits."""
    corpus = make_corpus()
    with few_lengths():
        wanted = [train([recipe], corpus, graphs=False)[0] for recipe in recipes]
        with patch.object(CudaRecorder, "record", autospec=True, side_effect=CudaRecorder.record) as record:
            assert train(recipes, corpus) == wanted, "runs side by side have other bits"
        assert record.call_count >= 4 * len(recipes), "segments of several lengths are recorded, and what is judged"


def check_setting(**train: Any) -> None:
    """As `check_runs`, under a setting of the training."""
    check_runs(make_runs(make_recipe(**train)))


def check_order_and_late_bit() -> None:
    """As `check_runs`, with an order inside the minibatches, and a bit that is moved late."""
    recipe = make_recipe(epochs=3)
    ordered = replace(recipe, lowlevel="order", seeds=replace(recipe.seeds, lowlevel=1))
    runs = make_runs(ordered)
    check_runs([replace(run, onset=Onset(epoch=1, seeds=runs[0].seeds, lowlevel="order")) for run in runs])


def check_alone() -> None:
    """A run by itself is recorded too, with the bits of the CPU; one whose masks are drawn on the CPU is not."""
    corpus, (recipe, *_) = make_corpus(), make_runs(make_recipe())
    drawn = replace(recipe, model=replace(recipe.model, masks=None))
    averaged = replace(recipe, train=replace(recipe.train, optimizer="nt-asgd", select="best-validation"))
    for one, recorded in ((recipe, True), (averaged, True), (drawn, False)):
        with (
            few_lengths(0.0),
            patch.object(TextTask, "descend", autospec=True, side_effect=TextTask.descend) as descend,
        ):
            wanted = train_on(CPU, [replace(one, device="cpu")], corpus)
            steps, descend.call_count = descend.call_count, 0
            assert train([one], corpus) == wanted, "it has other bits than on the CPU"
            assert (descend.call_count < steps) is recorded, (descend.call_count, steps)


def check_resumed() -> None:
    """Runs that go on from checkpoints, while weights are averaged, end with the bits of runs never stopped."""
    recipes = make_runs(make_recipe(optimizer="nt-asgd", select="best-validation", epochs=3))
    corpus, seen = make_corpus(), [0]
    with few_lengths(), tempfile.TemporaryDirectory() as folder:
        policies = [CheckpointPolicy(path=Path(folder) / one.id, every_s=0.0, recipe_id=one.id) for one in recipes]
        with contextlib.suppress(Stopped):
            train(
                recipes,
                corpus,
                checkpoints=policies,
                should_stop=lambda: seen[0] >= 2,
                on_epoch=lambda run, record: seen.__setitem__(0, record.epoch),
            )
        found = [load_checkpoint(policy.path, recipe_id=policy.recipe_id) for policy in policies]
        starts = [start for start in found if start is not None]
        assert [start.epoch for start in starts] == [2, 2]
        assert all(bool(start.extra["averages"]) for start in starts)
        assert train(recipes, corpus, starts=starts) == train(recipes, corpus)


def count_epoch(recipe: Recipe, runs: int, *, graphs: bool = True) -> tuple[int, Counts, Counts]:
    """Count the steps of the third epoch, what is done in it, and in its evaluation."""
    with few_lengths(0.0), pretend_cuda() as device:
        set_kernels("deterministic", "fp32")
        task = prepare(make_runs(recipe, runs), make_corpus().to(CUDA), device=CUDA, graphs=graphs)
        steps = watch(task, lambda: device.counts)
        training = device.counts
        for epoch in range(1, 4):
            steps.clear()
            device.forget()
            task.train_epoch(epoch)
            training = device.counts
            device.forget()
            task.evaluate(epoch)
        assert not task.ended, task.ended
        assert not any(steps), "somebody waits, or copies, in a step"
        return len(steps), training, device.counts


def check_waits() -> None:
    """Nothing is copied and nobody waits between the steps; an epoch of a run is one copy and one wait."""
    for runs in (1, 2):
        _, training, evaluation = count_epoch(make_recipe(optimizer="nt-asgd"), runs)
        assert training.copies == runs, training.copies
        assert training.waits.total() == runs, training.waits
        assert evaluation.copies == 0
        assert evaluation.waits.total() == 2 * runs, evaluation.waits


def check_launches() -> None:
    """A step is launched as one graph, beside its words, its row of the table and its rates."""
    steps, recorded, passed = count_epoch(make_recipe(), 2)
    _, by_hand, passed_by_hand = count_epoch(make_recipe(), 2, graphs=False)
    assert recorded.kernels >= by_hand.kernels > 100 * steps
    assert recorded.launches <= 5 * steps + 2 * 10, (recorded.launches, steps)
    assert passed.launches < passed_by_hand.launches / 2, "what is judged is recorded too"


def check_room_and_rivals() -> None:
    """As many runs as fit into memory are tried at once, by the longest segment of an epoch."""
    (recipe, *_), corpus, taken = make_runs(make_recipe()), make_corpus(), list[int]()
    take = TextTask.take_step

    def note(task: TextTask, epoch: int, step: int) -> None:
        sizes = [size for _, size in task.steps.segments.places]
        taken.append(max(sizes) - sizes[step])
        take(task, epoch, step)

    memory = {"memory_allocated": 1000, "max_memory_allocated": 1100, "mem_get_info": (320, 20_000)}
    memory |= {"reset_peak_memory_stats": None}
    with pretend_cuda(), contextlib.ExitStack() as stack:
        for name, value in memory.items():
            stack.enter_context(patch.object(torch.cuda, name, lambda *_, value=value: value))
        stack.enter_context(patch.object(TextTask, "take_step", note))
        assert room.find_room(recipe, corpus, ()) == 2 < MOST_LANES
        assert taken == [0], "the longest segment"
        task = prepare_rival(recipe, Workbench(corpus.to(CUDA), CUDA), "auto")
        assert task.replicas == 2


PROTOCOL = """
protocol = {name = "pretended", replicas = 2}
data = {preset = "pydoc"}
model = {preset = "qrnn", args = {embedding = 8, hidden = 6, layers = 2}}
train = {epochs = 1, batch_size = 5, lr = 2.0, warmup_epochs = 0, bptt = 12}
arm = [{name = "Init", vary = ["init"]}, {name = "Bit", vary = ["bit"]}]
"""


def check_study() -> None:
    """A worker trains language models of all arms side by side, as it does networks of images."""
    with patch.object(worker, "load_once", lambda *_: make_corpus(100, 33)):
        check_worker(PROTOCOL)


TEXT_SIDE_BY_SIDE: Checks = {
    "sgd": check_setting,
    "nt-asgd": partial(check_setting, epochs=3, optimizer="nt-asgd", select="best-validation"),
    "bf16 adam": partial(check_setting, precision="bf16", optimizer="adam", lr=0.01),
    "order and late bit": check_order_and_late_bit,
    "alone": check_alone,
    "resumed": check_resumed,
    "waits": check_waits,
    "launches": check_launches,
    "room and rivals": check_room_and_rivals,
    "worker": check_study,
}
