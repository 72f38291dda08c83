"""Running out of memory: told from other errors, answered with something smaller, and said."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.queue import NotTaken, RunQueue
from engine.plan.records import Packing
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from engine.recipe import ModelRecipe, PackRecipe, Recipe
from engine.study.control import Control
from engine.study.records import find_record
from engine.study.run_records import ExitRecord
from engine.study.run_state import read_state
from engine.study.study_plan import read_plan
from engine.training import worker
from engine.training.data.datasets import Dataset
from engine.training.memory import breaks_context, is_out_of_memory, try_in_memory
from engine.training.run_files import Claimed, describe_attempt
from engine.training.trials import facts, pack_sizes
from engine.training.trials.pack_validity import PackReport
from engine.training.trials.workbench import Workbench
from engine.tuning import probe as dispatch_probe
from engine.tuning.messages import (
    Answer,
    Facts,
    FactsQuestion,
    FoundPacking,
    PackQuestion,
    ProbeAnswers,
    ProbeRequest,
    Refusal,
    Surroundings,
)

CUDA_OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
CPU_OUT = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize(
    ("error", "out", "broken"),
    [
        (CUDA_OUT, True, False),
        (MemoryError(), True, False),
        (CPU_OUT, True, False),
        (torch.AcceleratorError("CUDA error: out of memory"), True, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, True),
        (torch.AcceleratorError("an illegal memory access was encountered"), False, True),
        (RuntimeError("CUDA error: unspecified launch failure"), False, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, True),
        (RuntimeError("shapes cannot be multiplied"), False, False),
        (ValueError("CUDA error"), False, False),
    ],
)
def test_errors_are_told_apart(error: Exception, out: bool, broken: bool) -> None:
    assert (is_out_of_memory(error), breaks_context(error)) == (out, broken)


def test_what_led_to_an_error_counts() -> None:
    def fail() -> None:
        try:
            raise CUDA_OUT
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    with pytest.raises(RuntimeError, match="during capture") as caught:
        fail()
    assert is_out_of_memory(caught.value)


def test_real_lack_of_memory_gives_back_what_was_taken() -> None:
    taken: list[weakref.ref[torch.Tensor]] = []

    def work() -> torch.Tensor:
        first = torch.zeros(1000)
        taken.append(weakref.ref(first))
        return torch.empty(2**50) + first

    assert try_in_memory(work) is None
    assert taken[0]() is None
    with pytest.raises(ZeroDivisionError):
        try_in_memory(lambda: 1 / 0)
    assert try_in_memory(lambda: 3) == 3


FIRST_TRAINING = """
import gc, weakref
import torch
from engine.training.random.seeding import set_kernels

def train():
    weights = torch.zeros(1000)
    set_kernels("deterministic", "fp32")
    return weakref.ref(weights)

gc.disable()
assert train()() is None, "the weights are still there"
"""


@pytest.mark.slow
def test_first_training_of_a_process_leaves_nothing_in_memory() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_TRAINING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def fail_above(limit: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a recipe that finds no room for larger packs than a limit."""

    def limited(recipe: Recipe, *args: Any, **kwargs: Any) -> Any:
        if recipe.pack is not None and recipe.pack.size > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return work(recipe, *args, **kwargs)

    return limited


def answer(recipe: Recipe, tmp_path: Path, *, timed: bool = False) -> Answer:
    return facts.answer(FactsQuestion(recipe=recipe, timed=timed), surround(tmp_path))


def refuse(recipe: Recipe, tmp_path: Path, *, timed: bool = False) -> Refusal:
    found = answer(recipe, tmp_path, timed=timed)
    assert isinstance(found, Refusal)
    return found


def surround(root: Path) -> Surroundings:
    return Surroundings(root=str(root), search_path=(), graphs=True)


@pytest.fixture
def linear(base: Recipe) -> Recipe:
    return replace(base, model=ModelRecipe(preset="linear"))


@pytest.mark.slow
@pytest.mark.parametrize("error", [CUDA_OUT, CPU_OUT, MemoryError()])
@pytest.mark.parametrize("step", [(facts, "train_steps"), (Workbench, "prepare_single"), (facts, "time_task")])
def test_step_that_does_not_fit_is_a_fault_of_the_batch_size(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, step: tuple[object, str]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(*step, fail)
    found = refuse(linear, tmp_path, timed=True)
    assert found.part == "batch"
    assert found.error == "linear: does not fit into the memory of the CPU with batch_size = 40"
    assert "smaller train.batch_size" in found.remedy


def test_data_that_do_not_fit_are_a_fault_of_the_data(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: Dataset, device: torch.device) -> None:
        raise CUDA_OUT

    monkeypatch.setattr(Dataset, "to", fail)
    found = refuse(linear, tmp_path)
    assert found.part == "data"
    assert found.error == "digits: does not fit into the memory of the CPU: use a smaller train_size"


def test_data_that_do_not_fit_while_they_are_read_are_a_fault_of_the_data(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(facts, "load", fail)
    assert refuse(linear, tmp_path).error == "digits: does not fit into the memory of the CPU: use a smaller train_size"


@pytest.mark.slow
@pytest.mark.parametrize("room", [(5, 4), (2, 2), (1, 1)])
@pytest.mark.parametrize("work", ["check_pack", "time_pack"])
def test_pack_that_does_not_fit_names_the_largest_half_that_does(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: tuple[int, int], work: str
) -> None:
    limit, fits = room
    monkeypatch.setattr(facts, work, fail_above(limit, getattr(facts, work)))
    packed = replace(linear, pack=PackRecipe(size=16, shared_batch=True))
    found = refuse(packed, tmp_path, timed=True)
    assert found.part == "pack"
    assert found.error == "linear: packs of 16 do not fit into the memory of the CPU"
    assert found.remedy.startswith(f"use pack = {fits}, which fits")
    assert isinstance(answer(replace(packed, pack=PackRecipe(size=limit, shared_batch=True)), tmp_path), Facts)


def test_fault_stands_at_the_key_that_repairs_it(protocol_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = parse_protocol(protocol_text, file="tiny.toml", overrides=("dispatch.devices=cpu",))
    said = Refusal(part="batch", error="linear: does not fit", remedy="use less")

    def answer_all(executor: object, job: object, request: ProbeRequest, answer_type: object) -> ProbeAnswers[Facts]:
        return ProbeAnswers(answers=(said,) * len(request.questions))

    monkeypatch.setattr(dispatch_probe, "ask_job", answer_all)
    with pytest.raises(ProtocolError, match=r"train\.batch_size = 50: linear: does not fit\n.*use less"):
        dispatch_probe.probe_plan(protocol, plan_protocol(protocol), timed=False)


def ask_auto(recipe: Recipe, tmp_path: Path, *, strict: bool = True) -> Packing:
    question = PackQuestion(
        recipe=recipe, shared_batch=True, sizes=(2, 4, 8), runs=8, slots=1, compiled=False, memory_format="auto",
        strict=strict,
    )  # fmt: skip
    found = facts.answer(question, surround(tmp_path))
    assert isinstance(found, FoundPacking)
    return found.packing


def time_by_size(recipe: Recipe, bench: Workbench, *, timed_s: float) -> float:
    """The larger, the faster; with channels last there is never room."""
    assert recipe.pack is not None
    if recipe.pack.channels_last:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return 1e-9 / recipe.pack.size


def test_trial_of_channels_last_that_does_not_fit_is_left_out(
    base: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_sizes, "time_pack", time_by_size)
    found = ask_auto(base, tmp_path, strict=False)
    assert (found.size, found.channels_last) == (8, False)


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "size"), [(8, 8), (4, 4), (3, 2), (1, 1)])
def test_size_whose_self_test_does_not_fit_gives_way_to_the_next_smaller_one(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, size: int
) -> None:
    monkeypatch.setattr(pack_sizes, "time_pack", time_by_size)
    # Whether slots leave traces differs from processor to processor, and is not what is asked here.
    sound = PackReport(slot_invariant=True, size_invariant=True, replay_equal=None)
    monkeypatch.setattr(pack_sizes, "check_pack", fail_above(limit, lambda *_, **__: sound))
    found = ask_auto(linear, tmp_path)
    assert (found.size, found.reason) == (size, "packs do not fit into memory here" if size == 1 else None)


PACKED = ("dispatch.devices=cpu", "dispatch.pack=4", "protocol.replicas=4")
ALONE = ("dispatch.devices=cpu",)


@dataclass(frozen=True)
class Ending:
    """How a training ends, and what is to come of it."""

    error: Exception
    said: str
    settings: tuple[str, ...] = ALONE
    retried: bool = True
    status: int | None = None


@pytest.mark.slow
@pytest.mark.parametrize(
    "ending",
    [
        Ending(CUDA_OUT, "a pack of 4 does not fit: use pack = 2 (OutOfMemoryError: ", PACKED, retried=False),
        Ending(CPU_OUT, "a pack of 4 does not fit: use pack = 2 (RuntimeError: ", PACKED, retried=False),
        Ending(CUDA_OUT, "2.00 GiB.: use a smaller train.batch_size than 50, or fewer"),
        Ending(CPU_OUT, "use a smaller train.batch_size than 50"),
        Ending(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "cuDNN error", status=1),
        Ending(torch.AcceleratorError("illegal access"), "AcceleratorError: illegal access", status=1),
        Ending(RuntimeError("user's own"), "RuntimeError: user's own", retried=False),
    ],
    ids=lambda ending: ending.said[:30],
)
def test_worker_records_what_can_be_tried_again_and_what_cannot(
    protocol_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Ending
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ending.error

    monkeypatch.setattr(worker, "train_cohort", fail)
    protocol = parse_protocol(protocol_text, file=str(tmp_path / "tiny.toml"), overrides=ending.settings)
    paths = prepare_study(protocol, plan_protocol(protocol), store=None)
    plan, control, record = read_plan(paths), Control(), describe_attempt("now", "cpu:0")

    def claim(wanted: Any = None) -> Claimed | NotTaken:
        found = RunQueue(paths, "now").claim_next(plan, control=control, record=record, wanted=wanted)
        return found if isinstance(found, NotTaken) else Claimed(paths, plan, found.run_id, found.attempt)

    claimed = claim()
    assert isinstance(claimed, Claimed)
    assert worker._train_guarded(claimed, worker.Requests(paths), worker.Kept("now"), claim) == ending.status
    ended = find_record(claimed.attempt.exit, ExitRecord)
    assert ended is not None
    assert ending.said in ended.reason
    state = read_state(claimed.run, control=control, session="now", run_id=claimed.run_id)
    assert state.retriable is ending.retried
    told = len(list(paths.runs.glob("*/attempts/*/exit.json")))
    assert told == (4 if ending.settings == PACKED else 1), "all of a pack are told"
