"""Arms in which sources leak into each other are refused before anything is written, or said so beside every table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.plan.plan import Plan
from engine.plan.records import Leak
from engine.protocol.definition import Protocol
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from engine.study.study_plan import read_plan
from engine.tuning.choice import decide, plan_known, recall
from engine.tuning.messages import Facts, FactsQuestion
from tests.helpers.measures import make_measures
from tui.text.report import FORMATS
from tui.text.tables import make_notes

NETS = """
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        return self.fc(x.flatten(1)) * (float(np.random.rand()) if self.training else 0.5)

def drawing(input_shape, classes):
    return Net(classes)
"""

TEXT = """
[protocol]
name = "leaky"
replicas = 2
[data]
preset = "digits"
train_size = 60
[model]
target = "unisolated_nets:drawing"
{allow}
[train]
epochs = 1
batch_size = 30
warmup_epochs = 0
[dispatch]
devices = "cpu"
[[arm]]
name = "control"
vary = []
[[arm]]
name = "shuffle"
vary = ["shuffle"]
{own}
[[arm]]
name = "order"
vary = ["lowlevel", "init"]
[[arm]]
name = "pairs"
ensemble = {{ of = "shuffle", size = 2 }}
"""

ALLOW = "allow_unisolated = true"


def parse(folder: Path, *, allow: str = "", own: str = "") -> Protocol:
    (folder / "unisolated_nets.py").write_text(NETS)
    return parse_protocol(TEXT.format(allow=allow, own=own), file=str(folder / "leaky.toml"))


def say(monkeypatch: pytest.MonkeyPatch, leak: Leak | None) -> list[bool]:
    """Let trials find a leak; return which of the questions were to look for one."""
    asked: list[bool] = []

    def answer(protocol: Protocol, questions: list[FactsQuestion], answers_type: object) -> list[Facts]:
        asked.extend(question.isolation for question in questions)
        return [
            Facts(
                parameters=1, train_examples=1, test_examples=1, input_shape=(1,), classes=2, stochastic=False,
                seconds_per_epoch=None, seconds_guess=0.1, seconds_load=0.1, memory_bytes=1,
                slot_invariant=None, size_invariant=None, leak=leak if question.isolation else None,
            ) for question in questions
        ]  # fmt: skip

    monkeypatch.setattr("engine.tuning.probe.ask", answer)
    return asked


def find_unisolated(plan: Plan) -> dict[str, str]:
    return {arm.name: arm.unisolated for arm in plan.arms if arm.unisolated is not None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("everywhere", "refused"), [(True, ("control", "shuffle", "order")), (False, ("shuffle", "order"))]
)
def test_arms_that_leak_are_refused_by_name(
    everywhere: bool, refused: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, Leak(reason="its network does so", everywhere=everywhere))
    with pytest.raises(ProtocolError) as caught:
        decide(parse(tmp_path), store=str(tmp_path), timed=False)
    (fault,) = caught.value.faults
    assert fault.key == "model.target"
    assert fault.value == '"unisolated_nets:drawing"'
    assert fault.problem == f"is not isolated in {', '.join(refused)}: its network does so"
    assert "model.allow_unisolated = true" in str(caught.value)


@pytest.mark.slow
def test_arms_that_allow_it_are_trained_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = say(monkeypatch, Leak(reason="its network does so", everywhere=False))
    protocol = parse(tmp_path, allow=ALLOW)
    decided = decide(protocol, store=str(tmp_path), timed=False)
    assert asked.count(True) == 1
    assert find_unisolated(decided.plan) == dict.fromkeys(("shuffle", "order", "pairs"), "its network does so")
    paths = prepare_study(protocol, decided.plan, store=str(tmp_path), chosen=decided.chosen)
    assert [arm.unisolated for arm in read_plan(paths).arms] == [None, *["its network does so"] * 3]
    known = plan_known(protocol, recall(protocol, store=str(tmp_path)), store=str(tmp_path))
    assert known == decided.plan, "what was found is known while nothing is tried again"
    one = parse(tmp_path, own=f"model = {{ {ALLOW} }}")
    with pytest.raises(ProtocolError, match="is not isolated in order: "):
        decide(one, store=str(tmp_path), timed=False)


@pytest.mark.slow
def test_allowing_is_no_part_of_a_run(tmp_path: Path) -> None:
    plans = [plan_protocol(parse(tmp_path, allow=allow)) for allow in ("", ALLOW)]
    assert list(plans[0].recipes) == list(plans[1].recipes)


@pytest.mark.slow
def test_network_without_a_leak_has_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, None)
    decided = decide(parse(tmp_path), store=str(tmp_path), timed=False)
    assert find_unisolated(decided.plan) == {}


def test_every_table_repeats_it() -> None:
    arm = make_measures(name="shuffle", vary=["shuffle"], n=2, unisolated="its network draws with numpy_")
    assert make_notes([arm]) == ["shuffle: NOT ISOLATED, which the protocol allows: its network draws with numpy_"]
    texts = {name: form("study", [arm], None) for name, form in FORMATS.items()}
    assert "- shuffle: NOT ISOLATED, which the protocol allows: its network draws with numpy\\_" in texts["markdown"]
    note = "shuffle: NOT ISOLATED, which the protocol allows: its network draws with numpy\\_"
    assert texts["latex"].splitlines()[-1] == rf"\par\noindent{{\footnotesize {note}}}"
    header, row = texts["csv"].splitlines()
    assert header.endswith(",unisolated")
    assert row.endswith(",its network draws with numpy_")
    assert json.loads(texts["json"])["arms"][0]["unisolated"] == "its network draws with numpy_"
    isolated = make_measures(name="shuffle", vary=["shuffle"], n=2)
    assert all("isolated: " not in form("study", [isolated], None).lower() for form in FORMATS.values())


@pytest.mark.slow
def test_network_that_draws_with_numpy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"not isolated in control, shuffle, order: its network draws with numpy's"):
        decide(parse(tmp_path), store=str(tmp_path), timed=False)
    decided = decide(parse(tmp_path, allow=ALLOW), store=str(tmp_path), timed=False)
    assert set(find_unisolated(decided.plan)) == {"control", "shuffle", "order", "pairs"}
