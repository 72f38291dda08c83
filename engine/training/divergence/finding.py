"""Finds out where two runs of a study part: reads what their files say, trains both again, and replays the step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from engine.dispatch.devices import name_processor
from engine.errors import StudyError
from engine.recipe import Recipe
from engine.study.divergence_record import Divergence, DivergenceProgress, DivergenceRequest
from engine.study.parting import Digests, find_first_difference, read_digests
from engine.study.paths import StudyPaths
from engine.study.records import decode_record, encode_record
from engine.study.run_records import read_recipe
from engine.study.study_plan import StudyPlan, read_plan
from engine.training.checkpoint import Checkpoint
from engine.training.data.datasets import Dataset
from engine.training.data.repeatable import require_data_of_study
from engine.training.data.text import Corpus
from engine.training.divergence.lockstep import Found, Pair, trim, walk
from engine.training.divergence.replay import Cause, Replay, find_cause
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.resumption import find_states
from engine.training.tasks.preparation import load
from engine.training.trials.answering import answer_on_stdout
from engine.training.user_functions import check_unchanged, refuse_untrusted
from engine.training.worker import require_device

Listener = Callable[[DivergenceProgress], None]


def answer_request() -> int:
    """Read a request on standard input; write a line per epoch that was trained, and the answer, to standard output."""
    with answer_on_stdout() as out:
        request = decode_record(sys.stdin.buffer.read(), DivergenceRequest)
        if isinstance(request, str):
            raise StudyError(f"the request {request}")

        def tell(progress: DivergenceProgress) -> None:
            out.write(msgspec.json.encode(progress).decode() + "\n")

        out.write(encode_record(find_parting(request, tell), compact=True).decode())
    return 0


@dataclass(frozen=True)
class Side:
    """One of the two runs, with all that is needed to train it again."""

    paths: StudyPaths
    plan: StudyPlan
    run: str
    recipe: Recipe
    digests: Digests
    """Of its files; none where they hold none."""


def read_side(folder: str, run: str) -> Side:
    """Read a run's recipe and digests.

    Raises:
        NondetError: If it cannot be trained here again.
    """
    paths = StudyPaths(Path(folder))
    plan, recipe = read_plan(paths), read_recipe(paths.run(run), run)
    require_device(recipe.device)
    side = Side(paths, plan, run, recipe, read_digests(paths.run(run)))
    refuse_untrusted(recipe, search_path=side.plan.search_folders, trusted=plan.trusted)
    check_unchanged(recipe, search_path=side.plan.search_folders)
    return side


def find_parting(request: DivergenceRequest, tell: Listener = lambda progress: None) -> Divergence:
    """Find out where two runs part, and how the difference grows; see `Divergence`, whose rates are left out.

    Args:
        request: Which runs.
        tell: Is told of every epoch that was trained.

    Raises:
        NondetError: If they cannot be trained here again.
    """
    started = time.perf_counter()
    sides = [read_side(folder, run) for folder, run in zip(request.studies, request.runs, strict=True)]
    one, other = sides
    recorded = find_first_difference(one.digests, other.digests) if one.digests and other.digests else None
    device = torch.device("cuda:0" if one.recipe.device == "cuda" else "cpu")
    loaded = load(one.recipe.data, root=Path(one.plan.data_root), search_path=one.plan.search_folders)
    for side in sides:
        if side.recipe.data == one.recipe.data:
            require_data_of_study(side.paths, side.recipe.data, loaded)
    data = trim(loaded).to(device)
    set_kernels(one.recipe.lowlevel, one.recipe.train.precision)
    use_one_thread()
    pair, starts = open_pair((one, other), data, device, find_starts(one, other, recorded))
    last = min(side.recipe.train.epochs for side in sides)
    try:
        found = walk(
            pair,
            starts=starts,
            growth_epochs=request.growth_epochs,
            listen=lambda epoch: tell(DivergenceProgress(epoch=epoch, epochs=last)),
        )
        steps = pair.walkers[0].task.count_steps()
    finally:
        pair.close()
    cause = _find_cause(sides, data, device, found)
    return Divergence(
        studies=(one.plan.study, other.plan.study),
        arms=request.arms,
        replicas=request.replicas,
        runs=request.runs,
        epochs=found.epochs,
        followed=request.growth_epochs,
        epoch=None if found.parted is None else found.parted.epoch,
        step=None if found.parted is None else found.parted.step,
        steps=steps,
        recorded=recorded,
        is_recorded=bool(one.digests and other.digests),
        strayed=_compare_with_files(sides, found, first=starts[0].epoch if starts else 0),
        kind=None if cause is None else cause.kind,
        operation=None if cause is None else cause.operation,
        tensors=None if cause is None else cause.tensors,
        weights=found.weights,
        batches=None if cause is None else cause.batches,
        operations=0 if cause is None else cause.operations,
        growth=tuple(found.points),
        test_examples=len(data.test_labels),
        is_text=isinstance(data, Corpus),
        seconds=time.perf_counter() - started,
        device=torch.cuda.get_device_name(0) if device.type == "cuda" else name_processor(),
        torch=str(torch.__version__),
    )


def find_starts(one: Side, other: Side, recorded: int | None) -> tuple[Checkpoint, ...]:
    """Return the latest kept states of both at the end of one epoch, before the one in which they part; else none.

    Args:
        one: A run.
        other: Another one.
        recorded: The epoch in which they part by their files; where that is not known, it may be the first one.
    """
    states = [find_states(side.paths, side.paths.run(side.run), side.recipe) for side in (one, other)]
    epochs = [epoch for epoch in states[0] if epoch in states[1] and epoch < (recorded or 0)]
    return tuple(known[max(epochs)] for known in states) if epochs else ()


def open_pair(
    sides: tuple[Side, Side], data: Dataset | Corpus, device: torch.device, starts: tuple[Checkpoint, ...]
) -> tuple[Pair, tuple[Checkpoint, ...]]:
    """Build two runs in kept states of theirs, and return them with these.

    States that differ already are left, and both stand at their beginning: files tell of weights alone, and an
    optimiser may know something else before these part.
    """
    one, other = sides

    def prepare(starts: tuple[Checkpoint, ...]) -> Pair:
        recipes = (one.recipe, other.recipe)
        return Pair.prepare(recipes, data, device=device, search_path=one.plan.search_folders, starts=starts)

    pair = prepare(starts)
    if not starts or not pair.parted:
        return pair, starts
    pair.close()
    return prepare(()), ()


def _find_cause(sides: list[Side], data: Dataset | Corpus, device: torch.device, found: Found) -> Cause | None:
    """Say what differs first; None where nothing does."""
    parted = found.parted
    if parted is None:
        return None
    if parted.step is None:
        return Cause("weights", tensors=found.tensors)
    starts = parted.start or (None, None)
    replays = [
        Replay(side.recipe, data, device, side.plan.search_folders, start)
        for side, start in zip(sides, starts, strict=True)
    ]
    return find_cause(replays, parted)


def _compare_with_files(sides: list[Side], found: Found, *, first: int) -> tuple[int | None, int | None]:
    """Return the first epoch in which each run is not what its files say; None where there is none.

    Args:
        sides: Both runs.
        found: What training them again has shown.
        first: The epoch whose end its first digests are of.
    """
    strayed: list[int | None] = []
    for number, side in enumerate(sides):
        again = [pair[number] for pair in found.digests]
        kept = side.digests[first:] if first == 0 else side.digests[first + 1 :]
        epoch = find_first_difference(tuple(again), kept)
        strayed.append(None if epoch is None else epoch + (first + 1 if first else 0))
    return strayed[0], strayed[1]
