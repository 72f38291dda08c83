"""`check --card`: what runs would take on a card that is not there, said as an estimate."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.catalog.work import Work, find_gpu
from engine.errors import NondetError
from engine.plan.plan import make_plan
from engine.protocol.load import parse_protocol
from engine.tuning.probe import ProbeFacts
from tui.commands.cards import describe_card, require_gpu
from tui.commands.check import check_protocol

TEXT = """
[protocol]
name = "far"
replicas = 10
[data]
preset = "synthetic"
[model]
preset = "linear"
[train]
epochs = 10
precision = "{precision}"
[[arm]]
name = "init"
vary = ["init"]
"""

HOUR_OF_H100 = 67e12 / 2 * 3600

FACTS = ProbeFacts(
    parameters=1, train_examples=1000, test_examples=0, input_shape=(3, 32, 32), classes=10, stochastic=False,
    seconds_per_epoch=None, seconds_guess=0.1, seconds_load=0.1, memory_bytes=1, slot_invariant=None,
    size_invariant=None, arms=("init",), runs=(), model="linear", data="synthetic",
)  # fmt: skip


def describe(
    *, precision: str = "fp32", card: str = "H100", counted: bool = True, left: int | None = None
) -> list[str]:
    """Of ten runs, or those that are left, whose epochs take the arithmetic of a hundredth of two hours each."""
    plan = make_plan(parse_protocol(TEXT.format(precision=precision), file="far.toml"), device="cpu")
    each = 2 * HOUR_OF_H100 / 100 / 1000
    work = Work(
        train_flops=each, train_bytes=0, step_bytes=0, test_flops=0, test_bytes=0, step_kernels=0, test_kernels=0
    )
    facts = replace(FACTS, runs=tuple(plan.recipes), work=work if counted else None)
    return describe_card(plan, [facts], list(plan.recipes)[:left], require_gpu(card))


def test_estimate_is_said_to_be_one() -> None:
    (said,) = describe()
    assert said.startswith("on one H100: about 2 h 00 min (from 2 h 00 min to 2 h 00 min) and 1.4 kWh, estimated")
    assert "not timed" in said


def test_what_cannot_be_estimated_is_said() -> None:
    assert describe(precision="bf16", card="V100") == ["on one V100: it does not compute in bf16"]
    (said,) = describe(counted=False)
    assert said.startswith("on one H100: not estimated")


def test_no_time_is_said_where_nothing_is_left_to_train() -> None:
    assert describe(left=0) == ["on one H100: nothing is left to train"]
    assert len(describe(left=1)) == 1


def test_unknown_card_is_named_with_those_that_are_known() -> None:
    with pytest.raises(NondetError, match=r"--card K80: nothing is known.*A100, H100"):
        require_gpu("K80")
    assert require_gpu("h100") is find_gpu("NVIDIA H100 80GB HBM3")


@pytest.mark.slow
def test_check_counts_and_estimates(tmp_path: Path, protocol_text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(protocol_text)
    check_protocol(file, store=str(tmp_path), overrides=("dispatch.devices=cpu",), card="A100")
    assert "on one A100: about " in capsys.readouterr().out
