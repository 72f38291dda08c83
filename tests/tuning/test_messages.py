"""Questions and answers between a command and the processes that try recipes out."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import cast

import pytest

from engine.dispatch.executors.base import Executor, JobOutput
from engine.dispatch.jobs import Job, probe_job
from engine.errors import NondetError
from engine.plan.records import Packing
from engine.recipe import NO_SEEDS, DataRecipe, ModelRecipe, Recipe, TrainRecipe
from engine.tuning.asking import ask_job
from engine.tuning.messages import (
    Facts,
    FactsQuestion,
    FoundPacking,
    PackQuestion,
    ProbeAnswers,
    ProbeRequest,
    Refusal,
    Surroundings,
    decode_message,
    encode_message,
)

SURROUNDINGS = Surroundings(root=os.fsdecode(b"/data/caf\xe9"), search_path=("/home/a b", "."), graphs=False)
RECIPE = Recipe(
    data=DataRecipe(preset="digits"),
    model=ModelRecipe(target="nets:build", args=(("depth", 2), ("p", 1.0), ("wide", True), ("name", "a"))),
    train=TrainRecipe(epochs=2, batch_size=10, lr=0.1),
    seeds=NO_SEEDS,
    lowlevel="deterministic",
    device="cpu",
)
REFUSAL = Refusal(part="data", error="caf\udce9: two\nlines", remedy="repair it")


@dataclass(frozen=True)
class Saying:
    """An executor whose jobs all say the same."""

    text: str
    errors: str = "first\nlast words"

    def run_job(self, job: Job, text: str) -> JobOutput:
        return JobOutput(3, self.text, self.errors)


def ask(text: str, **errors: str) -> tuple[Facts | Refusal, ...]:
    request = ProbeRequest(surroundings=SURROUNDINGS, questions=())
    return ask_job(cast("Executor", Saying(text, **errors)), probe_job(), request, ProbeAnswers[Facts]).answers


def test_request_arrives_as_it_was_sent() -> None:
    packed = PackQuestion(
        recipe=RECIPE, shared_batch=True, sizes=None, runs=3, slots=2, compiled=False, memory_format="auto", strict=True
    )
    request = ProbeRequest(surroundings=SURROUNDINGS, questions=(FactsQuestion(recipe=RECIPE, timed=True), packed))
    text = encode_message(request)
    assert "\n" not in text, "a message is a line"
    assert text.isascii()
    found = decode_message(text, ProbeRequest)
    assert found == request
    assert [type(value) for _, value in found.questions[0].recipe.model.args] == [int, float, bool, str]


def test_answers_are_told_apart_by_their_tags() -> None:
    found = FoundPacking(packing=Packing(size=4, trials=((1, 0.5), (4, 0.1))))
    text = encode_message(ProbeAnswers(answers=(REFUSAL, found)))
    assert decode_message(text, ProbeAnswers[FoundPacking]).answers == (REFUSAL, found)
    with pytest.raises(ValueError, match="packing"):
        decode_message(text, ProbeAnswers[Facts])


def test_answer_of_a_job_is_read() -> None:
    assert ask(encode_message(ProbeAnswers(answers=(REFUSAL,)))) == (REFUSAL,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        '{"answers": ',
        "[]",
        '{"other": []}',
        '{"answers": [{"type": "refusal"}]}',
        '{"answers": [{"type": "refusal", "part": "mind", "error": "", "remedy": ""}]}',
        encode_message(ProbeAnswers(answers=(FoundPacking(packing=Packing(size=1)),))),
        "[" * 100_000,
    ],
    ids=range(9),
)
def test_job_that_answers_something_else_is_shown_with_its_last_words(text: str) -> None:
    with pytest.raises(NondetError, match=r"ended without an answer \(exit status 3\):\nfirst\nlast words$"):
        ask(text)


@pytest.mark.parametrize("errors", ["", " \n\n"])
def test_job_that_is_killed_without_a_word_is_named_by_its_status(errors: str) -> None:
    """The last line of what is raised is what trials of packs and slots repeat."""
    with pytest.raises(NondetError, match=r"^the training process ended without an answer \(exit status 3\)$"):
        ask("", errors=errors)


def test_messages_need_no_torch() -> None:
    """The processes that only start others read them too."""
    script = "import sys, engine.training.trials.race; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
