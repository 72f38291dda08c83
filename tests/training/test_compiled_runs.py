"""Compiled single runs: kernels for each shape, the bits of what they were made from, and what cannot be compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import CompileError
from engine.recipe import KEYED_DRAWS, ModelRecipe, Recipe
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome, train_runs
from engine.training.tasks.images import prepare
from engine.training.trials import facts
from engine.training.trials.step_times import time_task, warm_up
from engine.training.weights import array_bytes, weights_bytes
from engine.tuning.messages import Facts, FactsQuestion, Refusal, Surroundings

CPU = torch.device("cpu")
Train = Callable[..., Outcome]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's compiler, while it is imported
]

NETWORKS = """
import torch
from torch import nn

def build_dropping(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, classes))

class Drawing(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1) + torch.rand_like(x.flatten(1)) * self.training)

def build_drawing(input_shape, classes):
    return Drawing(64, classes)
"""


@pytest.fixture
def path(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "compilednets.py").write_text(NETWORKS)
    return (tmp_path,)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """What is compiled, by a compiler that leaves every operation as it is."""
    seen: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., Any]:
        seen.append(graph)
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=keep))
    return seen


def digest(outcome: Outcome) -> tuple[bytes, bytes]:
    return weights_bytes(outcome.state), array_bytes(outcome.predictions)


def sizes(graph: torch.fx.GraphModule) -> list[Any]:
    """The values of all inputs whose size is not fixed."""
    values = [node.meta["example_value"] for node in graph.graph.nodes if node.op == "placeholder"]
    return [
        value for value in values if not isinstance(value, torch.Tensor) or not all(type(n) is int for n in value.shape)
    ]


@pytest.mark.parametrize(
    "model",
    [
        ModelRecipe(preset="linear"),
        ModelRecipe(preset="resnet6", width=0.25),
        ModelRecipe(target="compilednets:build_dropping", draws=KEYED_DRAWS),
    ],
    ids=lambda model: model.name,
)
def test_each_shape_is_compiled_once_and_all_of_a_run_goes_through_it(
    model: ModelRecipe, base: Recipe, data: Dataset, path: tuple[Path, ...], graphs: list[torch.fx.GraphModule]
) -> None:
    recipe = replace(base, model=model, seeds=replace(base.seeds, stochastic=1))
    wanted = train_runs([recipe], data, device=CPU, search_path=path)
    assert not graphs
    found = train_runs([replace(recipe, compiled=True)], data, device=CPU, search_path=path)
    assert len(graphs) == 3, "a minibatch, the smaller last one, and the test set"
    assert not any(map(sizes, graphs)), "kernels for any size would depend on what came before"
    assert list(map(digest, found)) == list(map(digest, wanted))


def test_compiled_runs_side_by_side_have_the_bits_of_runs_alone(
    base: Recipe, data: Dataset, train: Train, graphs: list[torch.fx.GraphModule]
) -> None:
    runs = [replace(base, compiled=True, seeds=replace(base.seeds, init=seed, shuffle=seed)) for seed in (1, 2)]
    assert runs[0].neighbours == runs[1].neighbours != base.neighbours
    together = train_runs(runs, data, device=CPU)
    assert list(map(digest, together)) == [digest(train(run)) for run in runs]
    assert graphs


def test_kernels_that_are_compiled_repeat_and_are_the_same_mathematics(base: Recipe, train: Train) -> None:
    recipe = replace(base, model=ModelRecipe(preset="linear"), compiled=True)
    torch.compiler.reset()
    one, other, plain = train(recipe), train(recipe), train(replace(recipe, compiled=None))
    assert digest(one) == digest(other)
    assert recipe.id != replace(recipe, compiled=None).id
    torch.testing.assert_close(torch.tensor(one.predictions), torch.tensor(plain.predictions), rtol=1e-3, atol=1e-4)


def ask(recipe: Recipe, path: tuple[Path, ...]) -> Facts | Refusal:
    surroundings = Surroundings(root=".", search_path=tuple(map(str, path)), graphs=True, trusted=("compilednets",))
    found = facts.answer(FactsQuestion(recipe=recipe, timed=False, isolation=False), surroundings)
    assert isinstance(found, Facts | Refusal)
    return found


def test_what_compiling_takes_is_told(base: Recipe, path: tuple[Path, ...], graphs: list[torch.fx.GraphModule]) -> None:
    recipe = replace(base, model=ModelRecipe(preset="linear"))
    plain, compiled = ask(recipe, path), ask(replace(recipe, compiled=True), path)
    assert isinstance(plain, Facts)
    assert isinstance(compiled, Facts)
    assert plain.seconds_compile is None
    assert compiled.seconds_compile is not None
    assert len(graphs) == 3, "the smaller last minibatch is in it"


def test_what_cannot_be_compiled_is_refused(
    base: Recipe, data: Dataset, path: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = replace(base, model=ModelRecipe(target="compilednets:build_drawing", draws=KEYED_DRAWS), compiled=True)
    with pytest.raises(CompileError, match=r"build_drawing: draws by operations of its own"):
        train_runs([drawing], data, device=CPU, search_path=path)

    def fail(*_: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=fail))
    for recipe, reason in ((drawing, "draws by"), (replace(base, compiled=True), "torch.compile failed")):
        refused = ask(recipe, path)
        assert isinstance(refused, Refusal)
        assert (refused.part, refused.remedy) == ("compile", "use compile = false")
        assert reason in refused.error


def test_no_compiling_is_timed(base: Recipe, data: Dataset, graphs: list[torch.fx.GraphModule]) -> None:
    task = prepare(replace(base, model=ModelRecipe(preset="linear"), compiled=True), data, device=CPU)
    warm_up(task, CPU)
    assert len(graphs) == 3, "a minibatch, the smaller last one, and the test set"
    time_task(task, CPU, timed_s=0.0)
    task.train_epoch(1)
    assert len(graphs) == 3
