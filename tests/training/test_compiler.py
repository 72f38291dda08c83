"""No training loads torch's compiler unless something is compiled; steps have the bits of torch's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
for lines in ("", 'optimizer = "adam"', 'averaging = "swa"'):
    text = open(sys.argv[1]).read().replace("lr = 0.1", "lr = 0.1\\n" + lines)
    recipes = list(make_plan(parse_protocol(text, file="p.toml"), device="cpu").recipes.values())
    data = load_data(recipes[0].data, root=Path(), search_path=())
    train_runs(recipes[:1], data, device=torch.device("cpu"))
print([name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor", "sympy"))])
"""


@pytest.mark.slow
def test_training_loads_no_compiler(protocol_text: str, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(protocol_text)
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
