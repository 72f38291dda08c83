"""What a protocol leaves open is found out once, kept with the study, and asked again where its settings change."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from engine.dispatch.claims import claim
from engine.dispatch.launch import plan_protocol, prepare_study
from engine.plan.packing import shows_rounding
from engine.plan.records import Packing
from engine.protocol.definition import Protocol
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from engine.study.choices import NOTHING, Chosen
from engine.study.run_records import write_exit
from engine.study.study_plan import read_plan
from engine.tuning import choice
from engine.tuning.choice import (
    choose_count,
    choose_packings,
    choose_slots,
    count_slots,
    decide,
    recall,
    shrink_packs,
)
from engine.tuning.messages import Facts, FoundPacking, PackQuestion
from engine.tuning.probe import ProbeFacts, probe_plan
from tests.helpers.records import make_attempt
from tui.commands import batch

TEXT = """
[protocol]
name = "open"
replicas = 6
[data]
preset = "digits"
train_size = 60
[model]
preset = "hidden-fc"
[train]
epochs = 4
batch_size = 30
warmup_epochs = 1
[dispatch]
devices = "cpu"
pack = {pack}
{dispatch}
[[arm]]
name = "init"
vary = ["init"]
[[arm]]
name = "control"
vary = []
[[arm]]
name = "shuffle"
vary = ["shuffle"]
"""


def parse(pack: object = '"auto"', dispatch: str = "", extra: str = "") -> Protocol:
    return parse_protocol(TEXT.format(pack=pack, dispatch=dispatch) + extra, file="open.toml")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[PackQuestion]:
    """The questions that reach a training process, which are answered with packs of three."""
    reached: list[PackQuestion] = []

    def answer(protocol: Protocol, questions: list[PackQuestion], answers_type: object) -> list[FoundPacking]:
        reached.extend(questions)
        return [FoundPacking(packing=Packing(size=3, trials=((1, 0.2), (3, 0.1)))) for _ in questions]

    monkeypatch.setattr(choice, "ask", answer)
    return reached


def test_runs_that_may_share_packs_are_asked_about_once(asked: list[PackQuestion]) -> None:
    chosen = choose_packings(parse(dispatch="slots_per_device = 2"), NOTHING)
    assert [q.runs for q in asked] == [12, 6]
    assert [q.shared_batch for q in asked] == [True, False]
    assert [q.strict for q in asked] == [True, False], "a control shows rounding alone"
    assert {q.slots for q in asked} == {2}
    assert all(q.recipe.pack is None for q in asked)
    assert {packing.size for packing in chosen.packings.values()} == {3}
    assert choose_packings(parse(), chosen).packings == chosen.packings
    assert len(asked) == 2, "what is known is not asked again"


def test_fixed_sizes_of_presets_need_no_question(asked: list[PackQuestion]) -> None:
    assert choose_packings(parse(pack=4), NOTHING) == NOTHING
    assert asked == []


@pytest.mark.parametrize("command", [False, True])
def test_devices_are_spoken_of_with_the_slots_that_were_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, command: bool
) -> None:
    """What several slots on a GPU mean depends on how many there are."""
    monkeypatch.setattr(choice, "open_executor", lambda wanted: SimpleNamespace(notes=(f"{wanted.slots_per_device}!",)))
    monkeypatch.setattr(choice, "recall", lambda *_, **__: replace(NOTHING, slots_per_device=3))
    monkeypatch.setattr(choice, "choose_packings", lambda protocol, chosen: chosen)
    monkeypatch.setattr(choice, "probe_plan", lambda *_, **__: ())
    protocol = parse(dispatch='slots_per_device = "auto"')
    if command:
        monkeypatch.setattr(choice, "plan_protocol", lambda protocol: None)
        protocol = SimpleNamespace(command=object(), dispatch=protocol.dispatch)
    assert decide(cast("Protocol", protocol), store=str(tmp_path), timed=False).notes == ("3!",)


@pytest.mark.slow
def test_choices_are_kept_with_the_study(asked: list[PackQuestion], tmp_path: Path) -> None:
    store = str(tmp_path / "studies")
    protocol = parse(dispatch='slots_per_device = "auto"')
    chosen = replace(choose_packings(protocol, recall(protocol, store=store)), slots_per_device=1)
    plan = plan_protocol(protocol, chosen.packings)
    paths = prepare_study(protocol, plan, store=store, chosen=chosen)
    assert recall(protocol, store=store) == chosen
    assert read_plan(paths).dispatch.fill_in().slots_per_device == 1
    more = parse(extra='[[arm]]\nname = "bit"\nvary = ["bit"]\n')
    assert recall(more, store=store) == chosen, "new arms and replicas go on with what was chosen"
    for other in (parse(pack=3), parse(dispatch="compile = true"), parse(dispatch='memory_format = "contiguous"')):
        assert recall(other, store=store).packings == {}, "other settings are other questions"
    fixed = recall(parse(dispatch="slots_per_device = 2"), store=store)
    assert (fixed.packings, fixed.slots_per_device) == (chosen.packings, None)
    again = prepare_study(protocol, plan, store=store, chosen=replace(chosen, slots_per_device=2))
    assert read_plan(again).dispatch.fill_in().slots_per_device == 2, "a choice alone is written too"
    paths.plan.write_text("{}")
    assert recall(protocol, store=store).packings == {}


@pytest.mark.slow
def test_packs_that_ran_out_of_memory_are_halved_until_runs_are_alone(
    asked: list[PackQuestion], tmp_path: Path
) -> None:
    store = str(tmp_path / "studies")
    protocol = parse()
    chosen = choose_packings(protocol, recall(protocol, store=store))
    assert {packing.size for packing in chosen.packings.values()} == {3}
    plan = plan_protocol(protocol, chosen.packings)
    paths = prepare_study(protocol, plan, store=store, chosen=chosen)
    short = next(arm for arm in plan.arms if arm.name == "shuffle")
    pack_key = plan.stackings[short.name].pack_key
    assert pack_key is not None
    attempt = claim(paths.run(short.runs[0]), 1, make_attempt())
    assert attempt is not None
    write_exit(attempt, "failed", "memory", "out of memory: a pack of 3 does not fit: use pack = 1")
    found = recall(protocol, store=store)
    assert {key: packing.size for key, packing in found.packings.items()} == {
        key: 1 if key == pack_key else 3 for key in chosen.packings
    }
    assert found.packings[pack_key].reason == "packs of 3 ran out of memory"
    again = plan_protocol(protocol, found.packings)
    assert set(next(arm for arm in again.arms if arm.name == "shuffle").runs).isdisjoint(short.runs)
    assert batch.has_smaller(found.packings, chosen.packings)
    assert not batch.has_smaller(chosen.packings, chosen.packings)
    fixed = replace(chosen, settings=(3, "auto", False))
    assert shrink_packs(parse(pack=3), fixed, store=store) == fixed, "a size that was asked for stays"


@pytest.mark.slow
def test_real_trial_ends_in_a_plan(tmp_path: Path) -> None:
    decided = decide(parse(), store=str(tmp_path), timed=True)
    assert len(decided.chosen.packings) == 2
    for packing in decided.chosen.packings.values():
        assert packing.trials[0][0] == 1
        assert len(packing.trials) >= 2
        assert (packing.size == 1) == (packing.reason is not None)
    assert all(fact.seconds_per_epoch for fact in decided.facts)
    assert decided.chosen.slots_per_device is None, "too little work for slots to be worth measuring"


def test_fewest_slots_that_come_close_to_the_best_are_chosen() -> None:
    assert choose_count([(1, 10.0), (2, 19.0), (4, 19.5)]) == 2
    assert choose_count([(1, 10.0), (2, 9.0)]) == 1
    assert choose_count([(1, 10.0)]) == 1


@pytest.mark.slow
def test_slots_are_raced_where_there_is_much_to_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    protocol = parse(dispatch='slots_per_device = "auto"', pack=1)
    plan = plan_protocol(protocol)
    facts = probe_plan(protocol, plan, timed=False)
    monkeypatch.setattr("engine.tuning.choice.WORTH_S", 0.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    chosen = choose_slots(protocol, plan, facts, NOTHING)
    assert [slots for slots, _ in chosen.slot_trials] == [1, 2]
    assert all(rate > 0 for _, rate in chosen.slot_trials)
    assert chosen.slots_per_device in (1, 2)
    assert count_slots(protocol, chosen) == chosen.slots_per_device
    assert choose_slots(protocol, plan, facts, chosen) is chosen
    assert choose_slots(parse(dispatch="slots_per_device = 2"), plan, facts, NOTHING) is NOTHING


NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        y = self.fc(x.flatten(1))
        return y if y.sum() > 0 else y + 0

def branching(input_shape, classes):
    return Net(classes)
"""


@pytest.mark.slow
def test_network_that_cannot_be_stacked_is_trained_alone_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "choicenets.py").write_text(NETS)
    text = TEXT.format(pack=3, dispatch="").replace('preset = "hidden-fc"', 'target = "choicenets:branching"')
    protocol = parse_protocol(text, file=str(tmp_path / "open.toml"))
    decided = decide(protocol, store=str(tmp_path), timed=False)
    assert all(recipe.pack is None for recipe in decided.plan.recipes.values())
    assert all("torch.func cannot stack" in (stacking.alone or "") for stacking in decided.plan.stackings.values())


def test_arms_that_show_rounding_are_refused_where_slots_leave_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(
        parameters=1, train_examples=1, test_examples=1, input_shape=(1,), classes=2, stochastic=False,
        seconds_per_epoch=None, seconds_guess=0.1, seconds_load=0.1, memory_bytes=1,
        slot_invariant=False, size_invariant=False,
    )  # fmt: skip
    monkeypatch.setattr("engine.tuning.probe.ask", lambda protocol, questions, answers_type: [facts] * len(questions))
    protocol = parse(pack=3)
    with pytest.raises(ProtocolError, match="other bits in other slots") as caught:
        probe_plan(protocol, plan_protocol(protocol), timed=False)
    assert "control is a control" in str(caught.value)
    without = parse_protocol(protocol.text.replace('[[arm]]\nname = "control"\nvary = []\n', ""), file="open.toml")
    found: tuple[ProbeFacts, ...] = probe_plan(without, plan_protocol(without), timed=False)
    assert [fact.slot_invariant for fact in found] == [False, False]


@pytest.mark.parametrize(
    ("vary", "shows"),
    [
        ((), True),
        (("bit",), True),
        (("lowlevel",), True),
        (("init", "bit"), True),
        (("init",), False),
        (("shuffle", "lowlevel"), False),
    ],
)
def test_arms_whose_point_is_rounding(vary: tuple[str, ...], shows: bool) -> None:
    assert shows_rounding(vary) is shows


def test_what_was_chosen_is_read_back() -> None:
    packings = {"a": Packing(size=4, channels_last=True, trials=((1, 0.5), (4, 0.1)))}
    trials = ((1, 3.0), (2, 5.5))
    chosen = Chosen(
        settings=("auto", "auto", False), packings=packings, devices="cpu", slots_per_device=2, slot_trials=trials
    )
    assert msgspec.json.decode(msgspec.json.encode(chosen), type=Chosen) == chosen
