"""Trying a recipe out before a study is written: does it load and train, how large is it, how long does it take."""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from msgspec.structs import asdict
from torch import nn

from engine.catalog.work import Work
from engine.errors import (
    BatchError,
    CompileError,
    DataError,
    ModelError,
    NondetError,
    PackError,
    PerturbationError,
    summarise_error,
)
from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.data.repeatable import digest_data
from engine.training.data.text import Corpus
from engine.training.device_count import find_fault
from engine.training.evaluation import make_views
from engine.training.memory import breaks_context, release, try_in_memory
from engine.training.models.builders import count_parameters
from engine.training.random.bit_change import find_parameter
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.images import ImageTask
from engine.training.tasks.preparation import SingleTask, load
from engine.training.trials.answering import answer_on_stdout
from engine.training.trials.pack_sizes import choose_packing
from engine.training.trials.pack_validity import PackReport, check_pack
from engine.training.trials.source_isolation import find_leak
from engine.training.trials.step_times import compile_last, fill_memory, time_pack, time_task, train_steps
from engine.training.trials.work import count_work
from engine.training.trials.workbench import Workbench
from engine.training.user_functions import refuse_unseen, refuse_untrusted
from engine.tuning.messages import (
    Answer,
    DataDigest,
    DataQuestion,
    Facts,
    FactsQuestion,
    FoundPacking,
    KernelDigests,
    KernelsQuestion,
    PackQuestion,
    Part,
    ProbeAnswers,
    ProbeRequest,
    Question,
    Refusal,
    Surroundings,
    decode_message,
    encode_message,
)

LOG = logging.getLogger(__name__)

T = TypeVar("T")

KERNEL_REPEATS = 20
"""Repetitions of one step, in each of some processes, among which free kernels have to differ once to be a source."""

_NAMES = {"cuda": "GPU", "cpu": "CPU"}

REMEDIES: dict[type[NondetError], tuple[Part, str]] = {
    DataError: ("data", "repair the data, or choose another data.preset or target"),
    ModelError: ("model", "repair the function, or choose another model"),
    BatchError: ("batch", "use a smaller train.batch_size, a smaller model, or fewer dispatch.slots_per_device"),
    PackError: ("pack", ""),  # which names its own
    CompileError: ("compile", "use compile = false"),
    PerturbationError: ("bit", 'use "first", or the full name of a parameter'),
}
"""Errors that trying may end in: the part of the recipe that causes each, and what to do."""


def answer_request() -> int:
    """Answer the `ProbeRequest` on standard input on standard output; what a user's code prints goes elsewhere."""
    request = decode_message(sys.stdin.read(), ProbeRequest)
    with answer_on_stdout() as out:
        out.write(encode_message(ProbeAnswers(answers=tuple(_answer_in_turn(request)))))
    return 0


def _answer_in_turn(request: ProbeRequest) -> Iterator[Answer]:
    """Yield the answer to each question of a request."""
    for question in request.questions:
        release()  # what an earlier question has left behind is not to be missing here
        yield answer(question, request.surroundings)


def answer(question: Question, surroundings: Surroundings) -> Answer:
    """Return what a question asks for, or the error that its recipe would end in with the part that causes it."""
    recipe = question.recipe
    if recipe.device == "cuda" and (fault := find_fault()) is not None:
        error = f"torch finds no usable CUDA device: {fault}"
        return Refusal(part="device", error=error, remedy="check driver and compute mode, or use --devices cpu")
    before = frozenset(sys.modules)
    try:
        bench = set_up(recipe, surroundings)
        found = _find(question, bench)
        refuse_unseen(recipe, search_path=bench.search_path, before=before)
        return found
    except tuple(REMEDIES) as error:
        part, remedy = REMEDIES[type(error)]
        remedy = error.remedy if isinstance(error, PackError) else remedy
        return Refusal(part=part, error=str(error), remedy=remedy)
    except Exception as error:
        if not breaks_context(error):
            raise
        LOG.exception("the GPU failed")
        remedy = "try again; if it fails again, name another GPU with --devices, and look into the kernel's log for Xid"
        return Refusal(part="device", error=f"the GPU failed: {summarise_error(error)}", remedy=remedy)


def _find(question: Question, bench: Workbench) -> Answer:
    match question:
        case FactsQuestion():
            return find_facts(question, bench)
        case PackQuestion():
            return find_packing(question, bench)
        case KernelsQuestion():
            return find_digests(question, bench)
        case DataQuestion():
            assert isinstance(bench.data, Dataset), "a user's data are examples"
            return DataDigest(data_sha256=digest_data(bench.data))


def set_up(recipe: Recipe, surroundings: Surroundings) -> Workbench:
    """Load the data to the device, and let that compute as the recipe says."""
    device = torch.device("cuda:0" if recipe.device == "cuda" else "cpu")
    set_kernels(recipe.lowlevel, recipe.train.precision)
    use_one_thread()
    search_path = tuple(map(Path, surroundings.search_path))
    refuse_untrusted(recipe, search_path=search_path, trusted=surroundings.trusted)
    started = time.perf_counter()
    data = try_in_memory(lambda: load(recipe.data, root=Path(surroundings.root), search_path=search_path))
    placed = None if data is None else try_in_memory(lambda: data.to(device))
    if placed is None:
        where = _NAMES["cpu" if data is None else device.type]
        raise DataError(f"{recipe.data.name}: does not fit into the memory of the {where}: use a smaller train_size")
    return Workbench(placed, device, search_path, surroundings.graphs, seconds_load=time.perf_counter() - started)


def find_packing(question: PackQuestion, bench: Workbench) -> FoundPacking:
    """Find out how to train runs like the question's in packs.

    Raises:
        NondetError: Whatever training one of them would raise at its start.
    """
    recipe = question.recipe
    task = _prepare(recipe, bench)
    _try_step(task)
    packing = choose_packing(
        question,
        bench,
        lambda: _in_room(recipe, lambda: time_task(task, bench.device)),
        parameters=count_parameters(task.model),
    )
    return FoundPacking(packing=packing)


def find_facts(question: FactsQuestion, bench: Workbench) -> Facts:
    """Build the model and try a step; see `answer`.

    Raises:
        NondetError: Whatever training the recipe would raise at its start.
    """
    recipe = question.recipe
    data, task = bench.data, _prepare(recipe, bench)
    if recipe.bit is not None:
        find_parameter(task.model, recipe.bit.parameter)
    if recipe.evaluate is not None and isinstance(data, Dataset):
        for _ in make_views(data.test_inputs[:1], recipe.evaluate):  # raises where the crops do not fit
            pass
    seconds_step, seconds_compile = _try_steps(task)
    _fill_memory(recipe, bench)
    report = _test_pack(recipe, bench)
    return Facts(
        **asdict(task.describe()),
        parameters=count_parameters(task.model),
        seconds_per_epoch=_time(recipe, bench, task) if question.timed else None,
        seconds_guess=seconds_step * task.count_steps(),
        slot_invariant=None if report is None else report.slot_invariant,
        size_invariant=None if report is None else report.size_invariant,
        leak=_in_room(recipe, lambda: [find_leak(recipe, bench)])[0] if question.isolation else None,
        probabilities=recipe.model.target is not None and _returns_probabilities(task.model, data),
        data_sha256=digest_data(data) if question.digested and isinstance(data, Dataset) else None,
        seconds_load=bench.seconds_load,
        seconds_compile=seconds_compile,
        work=_count(recipe, bench) if question.counted else None,
        memory_bytes=data.memory_bytes(),
        kernel_digests=(
            _in_room(recipe, lambda: digest_kernels(recipe, task)) if recipe.lowlevel == "kernels" else None
        ),
    )


def _returns_probabilities(model: nn.Module, data: Dataset | Corpus) -> bool:
    """Tell whether a network ends in a softmax: the loss takes another one of what it returns."""
    if not isinstance(data, Dataset):
        return False
    training = model.training
    model.eval()
    with torch.no_grad():
        outputs = model(data.feed(data.test_inputs[:8])).double()
    model.train(training)
    ones = torch.ones(len(outputs), dtype=outputs.dtype, device=outputs.device)
    return bool((outputs >= 0).all()) and torch.allclose(outputs.sum(1), ones, atol=1e-4)


def _prepare(recipe: Recipe, bench: Workbench) -> SingleTask:
    return _in_room(recipe, lambda: bench.prepare_single(recipe))


def _in_room(recipe: Recipe, work: Callable[[], T]) -> T:
    """Return what some steps of a run by itself return.

    Raises:
        BatchError: If they do not fit into memory.
    """
    done = try_in_memory(work)
    if done is None:
        room = f"the memory of the {_NAMES[recipe.device]} with batch_size = {recipe.train.batch_size}"
        raise BatchError(f"{recipe.model.name}: does not fit into {room}")
    return done


def _in_pack_room(recipe: Recipe, bench: Workbench, work: Callable[[Recipe], T]) -> T:
    """Return what some steps of a pack return.

    Raises:
        PackError: If they do not fit into memory; with the largest of the halved sizes for which they do.
    """
    assert recipe.pack is not None, "only packs are too large"
    done = try_in_memory(lambda: work(recipe))
    if done is not None:
        return done
    smaller = recipe.pack.size // 2
    while smaller > 1:
        candidate = replace(recipe, pack=replace(recipe.pack, size=smaller))
        if try_in_memory(lambda candidate=candidate: [work(candidate)]) is not None:
            break
        smaller //= 2
    problem = f"packs of {recipe.pack.size} do not fit into the memory of the {_NAMES[bench.device.type]}"
    raise PackError(
        f"{recipe.model.name}: {problem}", f"use pack = {max(smaller, 1)}, which fits, or a smaller train.batch_size"
    )


def _count(recipe: Recipe, bench: Workbench) -> Work | None:
    """Return what a recipe's network does with an image; None for text, and where counting fails."""
    try:
        return count_work(recipe, bench)
    except Exception:  # a user's module may do what cannot be followed
        LOG.exception("%s could not be counted", recipe.model.name)
        return None


def _fill_memory(recipe: Recipe, bench: Workbench) -> None:
    """Make sure that whole epochs of a recipe fit into memory; see `fill_memory`."""
    if recipe.pack is None:
        _in_room(recipe, lambda: [fill_memory(recipe, bench)])
    else:
        _in_pack_room(recipe, bench, lambda candidate: [fill_memory(candidate, bench)])


def _time(recipe: Recipe, bench: Workbench, task: SingleTask) -> float:
    """Return the seconds per epoch of one run: its share of a pack's where it is trained in one."""
    if recipe.pack is None:
        return _in_room(recipe, lambda: time_task(task, bench.device))
    return _in_pack_room(recipe, bench, lambda candidate: time_pack(candidate, bench))


def _test_pack(recipe: Recipe, bench: Workbench) -> PackReport | None:
    """Return the self-test of a recipe's packs; None where it is trained by itself.

    Raises:
        PackError: If packs do not fit into memory, or a recorded step gives other bits than the same step taken by
            itself.
    """
    if recipe.pack is None:
        return None
    try:
        report = _in_pack_room(recipe, bench, lambda candidate: check_pack(candidate, bench))
    except NondetError:
        raise
    except Exception as cause:  # torch.compile needs a compiler, and may fail on any network
        if not recipe.pack.compiled:
            raise
        raise PackError(f"torch.compile failed: {summarise_error(cause)}", "use compile = false") from cause
    if report.replay_equal is False:
        problem = "recorded steps give other bits than steps taken one by one here"
        raise PackError(f"{recipe.model.name}: {problem}", "use graphs = false")
    return report


def _try_steps(task: SingleTask) -> tuple[float, float | None]:
    """Take a first step, and return its seconds; of compiled kernels those of a later one, and what compiling took.

    Raises:
        CompileError: If they cannot be compiled.
    """
    started = time.perf_counter()
    _try_step(task)
    first = time.perf_counter() - started
    if not task.recipe.compiled or not isinstance(task, ImageTask):
        return first, None

    def take_time(work: Callable[[], object]) -> float:
        started = time.perf_counter()
        _in_room(task.recipe, lambda: [work()])
        return time.perf_counter() - started

    compiled = first + take_time(task.evaluate_part) + take_time(lambda: compile_last(task))
    passed, step = take_time(task.evaluate_part), take_time(lambda: train_steps(task, 1))
    return step, max(0.0, compiled - passed - step)


def _try_step(task: SingleTask) -> None:
    """Take one training step, whose failure is the model's fault and not the machine's."""
    recipe = task.recipe
    try:
        _in_room(recipe, lambda: [train_steps(task, 1)])
    except NondetError:
        raise
    except Exception as cause:  # a user's model may raise anything in training mode
        if breaks_context(cause):
            raise
        if recipe.compiled:
            raise CompileError(f"{recipe.model.name}: torch.compile failed: {summarise_error(cause)}") from cause
        batch = f"a training step with batch_size = {recipe.train.batch_size}"
        raise ModelError(f"{recipe.model.name}: failed in {batch}: {type(cause).__name__}: {cause}") from cause


def find_digests(question: KernelsQuestion, bench: Workbench) -> KernelDigests:
    """Find out which gradients free kernels give in this process."""
    recipe, task = question.recipe, _prepare(question.recipe, bench)
    return KernelDigests(digests=_in_room(recipe, lambda: digest_kernels(recipe, task)))


def digest_kernels(recipe: Recipe, task: SingleTask) -> tuple[str, ...]:
    """Return digests of the different gradients that free kernels give in the same step from the same weights.

    Kernels are chosen by timing them, once in a process: whether they are a source shows in several processes alone.
    """
    set_kernels("kernels", recipe.train.precision)
    return tuple(sorted({_hash_gradients(task) for _ in range(KERNEL_REPEATS)}))


def _hash_gradients(task: SingleTask) -> str:
    task.model.zero_grad(set_to_none=True)
    task.repeatable_loss().backward()
    gradients = [parameter.grad for parameter in task.model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients]).float().cpu()
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()
