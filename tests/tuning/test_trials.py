"""Trials that go wrong: processes that run out of memory, are killed or disagree end no command, and are said."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.dispatch.jobs import EXIT_NO_ROOM
from engine.dispatch.launch import plan_protocol
from engine.errors import NondetError
from engine.plan.plan import make_plan
from engine.plan.records import Packing
from engine.protocol.definition import Protocol
from engine.protocol.faults import Fault, ProtocolError
from engine.protocol.load import parse_protocol
from engine.study.choices import NOTHING
from engine.training.trials import race
from engine.tuning import choice, probe, slot_trial
from engine.tuning.messages import (
    Facts,
    FoundPacking,
    KernelDigests,
    KernelsQuestion,
    PackQuestion,
    RaceAnswer,
    RivalRequest,
    Surroundings,
)
from tests.tuning.test_choice import parse
from tests.tuning.test_messages import RECIPE
from tui.commands.check import describe_choices, describe_notes, note_kernels

RIVAL = """
import json, pathlib, sys
for number in range(9):
    try:
        pathlib.Path({folder!r}, str(number)).touch(exist_ok=False)
        break
    except FileExistsError:
        pass
sys.stdin.readline()
if number >= {fitting}:
    sys.exit({status})
print(json.dumps({{"type": "ready"}}), flush=True)
for line in sys.stdin:
    print(json.dumps({{"type": "time", "seconds": 0.5}}), flush=True)
"""


def race_with(monkeypatch: pytest.MonkeyPatch, folder: Path, *, fitting: int, status: int = EXIT_NO_ROOM) -> RaceAnswer:
    """Race up to four processes, of which some fit and the next one ends."""
    script = RIVAL.format(folder=str(folder), fitting=fitting, status=status)
    monkeypatch.setattr(race, "command", lambda *_: [sys.executable, "-c", script])
    surroundings = Surroundings(root="", search_path=(), graphs=True)
    return race.race(RivalRequest(surroundings=surroundings, recipe=RECIPE), (1, 2, 4))


RACES = (
    (4, 0, RaceAnswer(trials=((1, 2.0), (2, 4.0), (4, 8.0)))),
    (2, EXIT_NO_ROOM, RaceAnswer(trials=((1, 2.0), (2, 4.0)), limit="4 side by side did not fit into memory")),
    (1, 9, RaceAnswer(trials=((1, 2.0),), limit="2 side by side did not survive, one ended with 9")),
    (0, EXIT_NO_ROOM, RaceAnswer(trials=(), limit="1 side by side did not fit into memory")),
)


@pytest.mark.parametrize(("fitting", "status", "expected"), RACES)
def test_race_ends_at_the_count_that_is_too_many_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fitting: int, status: int, expected: RaceAnswer
) -> None:
    assert race_with(monkeypatch, tmp_path, fitting=fitting, status=status) == expected


def test_no_more_processes_are_started_than_are_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    race_with(monkeypatch, tmp_path, fitting=1)
    assert len([file for file in tmp_path.iterdir() if file.is_file()]) == 2, (
        "four at once would have taken the memory of the first"
    )


def fail(*_: Any, **__: Any) -> Any:
    raise NondetError("the training process ended without an answer (exit status -9):\nKilled")


def test_race_that_ends_itself_leaves_the_slots_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_trial, "ask_job", fail)
    assert slot_trial.try_slots(parse(), RECIPE, (1, 2)) == RaceAnswer(trials=(), limit="Killed")


@pytest.mark.parametrize(
    ("answer", "slots", "line"),
    [
        (
            RaceAnswer(trials=((1, 2.0), (2, 4.0)), limit="4 side by side did not fit into memory"),
            2,
            "slots_per_device = auto: 2 (epochs of a run per second, by slots: 1: 2, 2: 4; 4 side by side did not fit "
            "into memory)",
        ),
        (
            RaceAnswer(trials=((1, 2.0),), limit="\x1b[2Jcleared"),
            1,
            r"slots_per_device = auto: 1 (epochs of a run per second, by slots: 1: 2; \x1b[2Jcleared)",
        ),
        (
            RaceAnswer(trials=(), limit="\x1b[2JKilled"),
            None,
            r"slots_per_device = auto: more than one could not be tried (\x1b[2JKilled)",
        ),
    ],
)
def test_limit_of_slots_is_kept_and_shown(
    monkeypatch: pytest.MonkeyPatch, answer: RaceAnswer, slots: int | None, line: str
) -> None:
    protocol = parse(dispatch='slots_per_device = "auto"', pack=1)
    plan = plan_protocol(protocol)
    monkeypatch.setattr(choice, "WORTH_S", 0.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(choice, "try_slots", lambda *_: answer)
    monkeypatch.setattr(probe, "ask", lambda protocol, questions, answers_type: [FACTS] * len(questions))
    chosen = choice.choose_slots(protocol, plan, probe.probe_plan(protocol, plan, timed=False), NOTHING)
    assert chosen.slots_per_device == slots
    assert describe_choices(plan, chosen) == [line]


FACTS = Facts(
    parameters=1, train_examples=1, test_examples=1, input_shape=(1,), classes=2, stochastic=False,
    seconds_per_epoch=None, seconds_guess=0.1, seconds_load=0.1, memory_bytes=1,
    slot_invariant=None, size_invariant=None,
)  # fmt: skip


def answer_packs(monkeypatch: pytest.MonkeyPatch, answer: Callable[[PackQuestion], Packing]) -> Counter[int]:
    """Have questions about packs answered, and count them by their number."""
    asked: Counter[int] = Counter()

    def ask(protocol: Protocol, questions: Sequence[PackQuestion], answers_type: object) -> list[FoundPacking]:
        asked[len(questions)] += 1
        return [FoundPacking(packing=answer(question)) for question in questions]

    monkeypatch.setattr(choice, "ask", ask)
    return asked


def test_process_that_ends_while_packs_are_tried_has_its_runs_trained_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only its: the other question is asked again by itself."""
    asked = answer_packs(monkeypatch, lambda question: fail() if question.shared_batch else Packing(size=3))
    chosen = choice.choose_packings(parse(), NOTHING)
    packings = sorted(chosen.packings.values(), key=lambda packing: packing.size)
    reason = "packs could not be tried: Killed"
    assert packings == [Packing(size=1, reason=reason), Packing(size=3)]
    assert asked == {2: 1, 1: 2}
    plan = plan_protocol(parse(), chosen.packings)
    assert any(reason in (stacking.alone or "") for stacking in plan.stackings.values())


def test_last_words_of_a_trial_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_packs(monkeypatch, lambda question: Packing(size=1, reason="\x1b[2Jcleared"))
    chosen = choice.choose_packings(parse(), NOTHING)
    notes = describe_notes(plan_protocol(parse(), chosen.packings), ())
    assert any(note.endswith(r"trained one by one: \x1b[2Jcleared") for note in notes)
    assert all(note.isprintable() for note in notes)


def test_fault_of_the_protocol_found_by_a_trial_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(question: PackQuestion) -> Packing:
        raise ProtocolError("open.toml", [Fault("model.preset", "does not work", "choose another")])

    answer_packs(monkeypatch, refuse)
    with pytest.raises(ProtocolError, match="does not work"):
        choice.choose_packings(parse(), NOTHING)


def test_size_that_did_not_fit_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = ((1, 0.2), (3, 0.1))
    answer_packs(monkeypatch, lambda question: Packing(size=3, trials=trials, too_large=6))
    chosen = choice.choose_packings(parse(), NOTHING)
    assert (
        "(per epoch and replica, by size: 1: 0.2 s, 3: 0.1 s; 6 do not fit into memory)"
        in describe_choices(plan_protocol(parse(), chosen.packings), chosen)[0]
    )


KERNELS = """
[protocol]
name = "kernels"
replicas = 2
[data]
preset = "digits"
[model]
preset = "linear"
[[arm]]
name = "lowlevel"
vary = ["lowlevel"]
[lowlevel]
mode = "kernels"
"""


@pytest.mark.parametrize(
    ("processes", "empty"),
    [
        ((("a",), ("a",), ("a",)), True),
        ((("a", "b"),), False),
        ((("a",), ("b",)), False),
        ((("a",), ("a",), ("b",)), False),
        ((("a",), ("a",), None), None),
        ((("a",), ("a",), ("a", "b")), False),
    ],
)
def test_free_kernels_are_judged_by_several_processes(
    monkeypatch: pytest.MonkeyPatch, processes: tuple[tuple[str, ...] | None, ...], empty: bool | None
) -> None:
    left = list(processes)

    def ask(protocol: Protocol, questions: Sequence[object], answers_type: object) -> list[Facts | KernelDigests]:
        digests = left.pop(0)
        if digests is None:
            fail()
        assert digests is not None
        if isinstance(questions[0], KernelsQuestion):
            return [KernelDigests(digests=digests)]
        return [replace(FACTS, kernel_digests=digests)]

    monkeypatch.setattr(probe, "ask", ask)
    protocol = parse_protocol(KERNELS, file="kernels.toml")
    plan = make_plan(protocol, device="cuda")
    facts = probe.probe_plan(protocol, plan, timed=False)
    assert left == [], "no more are asked than it takes"
    assert [fact.lowlevel_empty for fact in facts] == [empty]
    assert bool(note_kernels(facts)) == bool(empty)
