"""Checks of what surrounds the training on a pretended GPU: other settings, measures, trials, lack of memory, waits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import torch
from torch.nn import functional

from engine.dispatch.one_model import claim_on_model
from engine.dispatch.queue import RunQueue, Taken
from engine.errors import NondetError
from engine.recipe import EvaluateRecipe, PackRecipe, Recipe
from engine.study.control import Control
from engine.study.epochs import EpochRecord
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.sketches import decode_sketches
from engine.study.study_plan import read_plan
from engine.training import similarity
from engine.training.evaluation import ImageEvaluation
from engine.training.loop import train_runs
from engine.training.random.seeding import set_kernels
from engine.training.recording.recorder import make_recorder
from engine.training.run_files import describe_attempt
from engine.training.tasks import images, stacked_images
from engine.training.tasks.preparation import prepare
from engine.training.trials import facts
from engine.training.twins import evaluate_weights
from engine.tuning.messages import (
    Answer,
    Facts,
    FactsQuestion,
    FoundPacking,
    KernelDigests,
    KernelsQuestion,
    PackQuestion,
    Question,
    Refusal,
    Surroundings,
)
from tests.helpers.large_store import Size, write_large_study
from tests.helpers.pretended_gpu.cases import Checks, digest, hear_refusals, make_images, make_recipe, make_replicas
from tests.helpers.pretended_gpu.cuda import pretend_cuda
from tests.helpers.pretended_gpu.device import CUDA, Counts
from tests.helpers.pretended_gpu.images import DROPPING
from tests.helpers.pretended_gpu.rules import RefusedError


def check_settings() -> None:
    """Averages over several epochs and cycles of several, and kernels that are free from the start, train."""
    recipes = [
        make_recipe("resnet6", epochs=4, averaging="swa"),
        make_recipe("resnet6", epochs=4, schedule="snapshot", cycles=2),
        replace(make_recipe("resnet6"), lowlevel="kernels"),
    ]
    with pretend_cuda():
        for recipe in recipes:
            train_runs([recipe], make_images(11), device=CUDA)[0]


def check_views() -> None:
    """Weights are evaluated on crops and flips."""
    views = replace(make_recipe("resnet6", epochs=1), evaluate=EvaluateRecipe(flip=True, crops=9))
    with pretend_cuda():
        outcome = train_runs([views], make_images(), device=CUDA)[0]
        found = evaluate_weights(views, make_images(), outcome.state, device=CUDA, search_path=())
    assert isinstance(found, ImageEvaluation)


def check_similarity() -> None:
    """Inner layers are compared."""
    recipe = make_recipe("resnet6")
    with pretend_cuda():
        set_kernels("deterministic", "fp32")
        data = make_images().to(CUDA)
        task = images.prepare(recipe, data, device=CUDA, search_path=())
        layers = similarity.find_layers(task.model.eval(), data.normalise(data.test_inputs[:2]))
        for features in similarity.read_activations(task.model, data, recipe, layers, 8):
            similarity.gram_vector(features)


def answer(question: Question, *, largest_bytes: float = float("inf")) -> Answer:
    """What the probe says of a recipe on small images."""
    surroundings = Surroundings(root=".", search_path=(), graphs=True)
    with patch.object(facts, "load", lambda *_, **__: make_images()), pretend_cuda(largest_bytes=largest_bytes):
        return facts.answer(question, surroundings)


def check_probe() -> None:
    """Facts are found of runs alone and of both kinds of packs."""
    for pack in (None, PackRecipe(size=2, shared_batch=True), PackRecipe(size=2, shared_batch=False)):
        timed = pack is None or pack.shared_batch
        found = answer(FactsQuestion(recipe=replace(make_recipe("linear"), pack=pack), timed=timed))
        assert isinstance(found, Facts), found
        assert found.parameters == 30730, found
        assert (found.seconds_per_epoch is not None) == timed
        assert found.seconds_per_epoch is None or found.seconds_per_epoch > 0


LINEAR_BYTES = 4 * 3072 * 10
"""Of the weights of the linear preset."""


def check_memory() -> None:
    """What does not fit is said, and smaller packs are taken where their size is open."""
    linear = make_recipe("linear")
    packed = replace(linear, pack=PackRecipe(size=8, shared_batch=True))
    found = answer(FactsQuestion(recipe=linear, timed=True), largest_bytes=LINEAR_BYTES - 1)
    assert isinstance(found, Refusal), found
    assert found.part == "batch", found
    found = answer(FactsQuestion(recipe=packed, timed=True), largest_bytes=5 * LINEAR_BYTES)
    assert isinstance(found, Refusal), found
    assert found.error == "linear: packs of 8 do not fit into the memory of the GPU", found
    assert found.remedy.startswith("use pack = 4, which fits")
    question = PackQuestion(
        recipe=linear, shared_batch=True, sizes=(4, 8, 16), runs=16, slots=1, compiled=False, memory_format="auto",
        strict=True,
    )  # fmt: skip
    found = answer(question, largest_bytes=5 * LINEAR_BYTES)
    assert isinstance(found, FoundPacking), found
    assert [size for size, _ in found.packing.trials] == [1, 4]


def check_last_minibatch() -> None:
    """What has no room for the smaller last minibatch beside the others is found out before it is trained."""

    def lack_room(work: Any) -> Any:
        def limited(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            if labels.shape[-1] == 19 % 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return work(logits, labels)

        return limited

    linear = make_recipe("linear")
    packed = replace(linear, pack=PackRecipe(size=2, shared_batch=True))
    losses = (functional, "cross_entropy"), (stacked_images, "replica_losses")
    for recipe, loss, part in zip((linear, packed), losses, ("batch", "pack"), strict=True):
        question = FactsQuestion(recipe=recipe, timed=False)
        with patch.object(*loss, lack_room(getattr(*loss))):
            found = answer(question)
        assert isinstance(found, Refusal), found
        assert found.part == part, found
        assert isinstance(answer(question), Facts)


def check_kernels() -> None:
    """Free kernels are looked at, and found to repeat where they are the CPU's."""
    found = answer(KernelsQuestion(recipe=replace(make_recipe("resnet6"), lowlevel="kernels")))
    assert isinstance(found, KernelDigests), found
    assert len(found.digests) == 1, found


def check_broken_context() -> None:
    """A GPU that fails while something is tried is said, and is no crash."""
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    with patch.object(facts, "train_steps", side_effect=error):
        found = answer(FactsQuestion(recipe=make_recipe("linear"), timed=False))
    assert isinstance(found, Refusal), found
    assert found.part == "device", found
    assert "illegal memory access" in found.error, found


STEPS = 8


def count_epoch(recipes: list[Recipe], *, graphs: bool = True) -> Counts:
    """Count what is done in the fifth epoch of eight steps, each on 512 examples, which are smaller in the last."""
    with pretend_cuda() as device:
        set_kernels("deterministic", "fp32")
        task = prepare(recipes, make_images(512 * STEPS - 100, 8).to(CUDA), device=CUDA, graphs=graphs)
        for epoch in range(1, 6):
            device.forget()
            task.train_epoch(epoch)
        return device.counts


def check_waits() -> None:
    """Nothing is copied to the GPU but once an epoch, and nobody waits but for the mean loss, and for a pack's keys."""
    linear = make_recipe("linear")
    linear = replace(linear, train=replace(linear.train, batch_size=512, epochs=5))
    cases = {
        "alone": ([linear], 1, 1),
        "alone with dropout": ([replace(linear, model=DROPPING, seeds=replace(linear.seeds, stochastic=1))], 1, 1),
        "shared batches": (make_replicas(linear, shared=True), 2, 2),
        "own batches": (make_replicas(linear, shared=False), 3, 2),
    }
    for name, (recipes, copies, waits) in cases.items():
        counted = count_epoch(recipes)
        assert counted.copies == copies, (name, counted.copies)
        assert counted.waits.total() == waits, (name, counted.waits)


def check_launches() -> None:
    """A recorded step is one launch beside those that say what to do it on: columns, keys, and a rate of each group."""
    linear = make_recipe("linear")
    linear = replace(linear, train=replace(linear.train, batch_size=512, epochs=5))
    recorded, by_hand = (count_epoch([linear], graphs=graphs) for graphs in (True, False))
    assert recorded.kernels >= by_hand.kernels > 20 * STEPS
    assert recorded.launches <= 6 * STEPS, recorded.launches


def check_sketches() -> None:
    """Where the weights are is noted at the ends of epochs alone, and steps are recorded as ever."""
    records: list[EpochRecord] = []
    recipe = make_recipe("linear")
    with pretend_cuda(), hear_refusals() as refused:
        noted = train_runs(
            [recipe], make_images(), device=CUDA, on_epoch=lambda _, record: records.append(record), sketches=4
        )
        plain = train_runs([recipe], make_images(), device=CUDA)
    assert refused == []
    assert digest(noted) == digest(plain)
    way = decode_sketches([record.sketches for record in records])
    assert way is not None
    assert way.steps.tolist() == [0, 5, 10], way.steps


def claim_on(model: str, paths: StudyPaths) -> str | None:
    """Have a worker on a GPU of a model claim a run; return which, or why none."""
    with pretend_cuda(), patch.object(torch.cuda, "get_device_name", lambda *_: model):
        record = describe_attempt("session", "cuda:0/0")
    try:
        taken = claim_on_model(RunQueue(paths, "session"), read_plan(paths), control=Control(), record=record)
    except NondetError as error:
        return str(error)
    return taken.run_id if isinstance(taken, Taken) else None


def check_models() -> None:
    """Workers on two models of GPU share a study by arms, and end where the other's are left."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_large_study(Path(folder) / "study", Size(arms=2, replicas=2, done=0))
        plan = read_plan(paths)
        dispatch = msgspec.structs.replace(plan.dispatch, require_same_device=True)
        write_record(paths.plan, msgspec.structs.replace(plan, dispatch=dispatch))
        (first, second), (third, fourth) = (arm.runs for arm in plan.arms)
        order = [claim_on(model, paths) for model in ("A100", "H100", "H100")]
        assert order == [first, third, fourth], order
        said = claim_on("H100", paths)
        assert said is not None
        assert "what is left of it is kept for A100" in said, said
        assert claim_on("A100", paths) == second
        assert claim_on("A100", paths) is None


def check_refused(wrong: Callable[[torch.Tensor], object], *, recording: bool) -> None:
    """What CUDA would not do is refused here."""
    with pretend_cuda():
        x = torch.zeros(3, device="cuda")
        try:
            if recording:
                recorder = make_recorder(CUDA, graphs=True)
                assert recorder is not None
                recorder.record(lambda: wrong(x))  # pyright: ignore[reportArgumentType] - whatever it returns
            else:
                wrong(x)
        except (RefusedError, torch.AcceleratorError):
            return
    raise AssertionError("it was done")


REST: Checks = {
    "averages, snapshots, kernels": check_settings,
    "views": check_views,
    "similarity of layers": check_similarity,
    "probe": check_probe,
    "memory": check_memory,
    "last minibatch": check_last_minibatch,
    "free kernels": check_kernels,
    "broken context": check_broken_context,
    "waits": check_waits,
    "launches": check_launches,
    "sketches": check_sketches,
    "workers on two models": check_models,
    "two devices in a sum": lambda: check_refused(lambda x: x + torch.ones(3), recording=False),
    "two devices in a selection": lambda: check_refused(
        lambda x: x[:2].index_select(0, torch.arange(2)), recording=False
    ),
    "two devices in a stack": lambda: check_refused(lambda x: torch.stack([x, x.cpu()]), recording=False),
    "item while recording": lambda: check_refused(lambda x: x.sum().item(), recording=True),
    "constant while recording": lambda: check_refused(
        lambda x: torch.tensor([1.0, 2.0, 3.0], device="cuda") + x, recording=True
    ),
    "copy while recording": lambda: check_refused(lambda x: x.cpu(), recording=True),
}
