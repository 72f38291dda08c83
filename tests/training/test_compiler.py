"""No training and no probe loads torch's compiler unless something is compiled; steps have the bits of torch's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.training import compiler
from engine.training.optimiser import SGD, Adam

TRAINING = """
import sys
from pathlib import Path
import torch
from engine.plan.plan import make_plan
from engine.protocol.load import parse_protocol
from engine.training import worker
from engine.training.data.datasets import load_data
from engine.training.loop import train_runs
from engine.training.trials import facts
from engine.tuning.messages import Facts, FactsQuestion, Surroundings
text, folder = open(sys.argv[1]).read(), str(Path(sys.argv[1]).parent)

def plan(text):
    return list(make_plan(parse_protocol(text, file=sys.argv[1]), device="cpu").recipes.values())

for lines in ("", 'optimizer = "adam"', 'averaging = "swa"'):
    recipes = plan(text.replace("lr = 0.1", "lr = 0.1\\n" + lines))
    data = load_data(recipes[0].data, root=Path(), search_path=())
    train_runs(recipes[:1], data, device=torch.device("cpu"))
recipe = plan(text.replace('preset = "linear"', 'target = "nets:build"'))[0]
assert recipe.model.draws is not None, "sources are tried out in a user's network alone"
surroundings = Surroundings(root=".", search_path=(folder,), graphs=True, trusted=("nets",))
found = facts.answer(FactsQuestion(recipe=recipe, timed=True, isolation=True), surroundings)
assert isinstance(found, Facts), found
print([name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor", "sympy"))])
"""


@pytest.mark.slow
def test_training_and_probe_load_no_compiler(protocol_text: str, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(protocol_text)
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def build(input_shape, classes): return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    done = subprocess.run([sys.executable, "-c", TRAINING, str(file)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(("ours", "theirs"), [(SGD, torch.optim.SGD), (Adam, torch.optim.Adam)])
@pytest.mark.parametrize("way", [{"fused": True}, {"foreach": False}])
def test_steps_are_those_of_torch(
    ours: Callable[..., torch.optim.Optimizer], theirs: Callable[..., torch.optim.Optimizer], way: dict[str, bool]
) -> None:
    weights: list[torch.Tensor] = []
    for kind in (ours, theirs):
        model = torch.nn.Linear(5, 3)
        with torch.no_grad():
            model.weight.copy_(torch.linspace(-1, 1, 15).reshape(3, 5))
            model.bias.zero_()
        optimiser = kind(model.parameters(), lr=0.1, weight_decay=1e-3, **way)
        for _ in range(4):
            optimiser.zero_grad(set_to_none=True)
            model(torch.ones(2, 5)).square().mean().backward()
            optimiser.step()
        assert model.weight.requires_grad
        assert model.weight.grad_fn is None, "no step is recorded"
        weights.append(model.weight.detach().clone())
    assert torch.equal(*weights)


@pytest.mark.parametrize("way", [{"fused": True}, {"foreach": False}])
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.0}, {"weight_decay": 0.0}])
def test_lean_steps_have_the_bits_of_torch(way: dict[str, bool], settings: dict[str, float]) -> None:
    """Several tensors of odd sizes in two groups, from the second step on with momenta; state and all."""
    shapes = [(7, 13), (13,), (3, 5, 2), (1,), (33,)]
    ends: list[list[torch.Tensor]] = []
    for kind in (SGD, torch.optim.SGD):
        generator = torch.Generator().manual_seed(5)
        parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
        groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.03}]
        given: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4} | settings | way
        optimiser = kind(groups, **given)
        for _ in range(4):
            optimiser.zero_grad(set_to_none=True)
            assert all(parameter.grad is None for parameter in parameters)
            for parameter in parameters:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimiser.step()
        momenta = [value for state in optimiser.state.values() for value in state.values()]
        ends.append([parameter.detach() for parameter in parameters] + [m for m in momenta if m is not None])
    assert len(ends[0]) == len(ends[1])
    assert all(torch.equal(own, other) for own, other in zip(*ends, strict=True))


def test_steps_without_some_gradients_are_left_to_torch() -> None:
    used, unused = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimiser = SGD([used, unused], lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    for _ in range(2):
        used.grad = torch.ones(3)
        optimiser.step()
    assert torch.equal(unused.detach(), torch.ones(3))
    assert not torch.equal(used.detach(), torch.ones(3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler, while it is imported
def test_compiled_functions_are_as_deterministic_as_torch_is_told() -> None:
    from torch._inductor import config  # noqa: PLC0415 - loads the compiler

    before = torch.get_deterministic_debug_mode()
    try:
        for mode in ("error", "default"):
            torch.set_deterministic_debug_mode(mode)
            compiler.compile_function(lambda x: x)
            assert config.deterministic is (mode == "error")
    finally:
        torch.set_deterministic_debug_mode(before)
