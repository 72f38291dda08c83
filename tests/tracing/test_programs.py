"""Causes that are planted in a user's program are found by name, in their step, module and operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest

from engine.tracing import comparison
from tests.helpers.watched_fork import Forks
from tui.commands import diverge_program
from tui.commands.diverge_program import ProgramError, Search
from tui.commands.diverge_report import Report
from tui.commands.diverge_words import describe_program, describe_report

START = """
import random, sys, time
from pathlib import Path
import numpy, torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout
from torch.utils.data import DataLoader, TensorDataset

counter = Path("runs")
number = int(counter.read_text()) if counter.exists() else 0
counter.write_text(str(number + 1))
SECOND = number % 2 == 1  # every other run differs
SEED = 0
torch.set_num_threads(1)
"""
TRAIN = """
torch.manual_seed(SEED)
images, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 3
net = nn.Sequential()
net.conv = nn.Conv2d(1, 4, 3)
net.drop = nn.Dropout(0.0)
net.flat = nn.Flatten()
net.fc = nn.Linear(4 * 36, 3)
optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

def prepare(step, images):
    return images

def train(images, labels, first=1):
    for step, (some, classes) in enumerate(zip(images.split(4), labels.split(4)), start=first):
        loss = cross_entropy(net(prepare(step, some)), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks()
    yield found
    found.close()


@pytest.fixture
def diverge(forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    monkeypatch.chdir(tmp_path)

    def run(text: str, *, limit: int | None = None, further: int = 1) -> Report:
        program = tmp_path / "train.py"
        program.write_text(START + dedent(text))
        search = Search([str(program)], tmp_path / f"left-{uuid4()}", limit=limit, further=further, run=forks.run)
        return search.find(find_cause=False)

    return run


def say(report: Report) -> str:
    return " ".join(" ".join(describe_program(report)).split())


def test_equal_runs_are_equal(diverge) -> None:
    report = diverge(TRAIN + "train(images, labels)")
    assert not report.differs
    assert (report.steps, report.runs) == (10, 2)
    assert "agree" in say(report)
    assert describe_report(report)["differs"] is False


def test_reversed_minibatch_is_found_in_its_step(diverge) -> None:
    change = "prepare = lambda step, some: some[torch.arange(3, -1, -1) if SECOND and step == 7 else torch.arange(4)]"
    report = diverge(f"{TRAIN}\n{change}\ntrain(images, labels)")
    assert (report.step, report.steps, report.verdict.kind) == (7, 6, comparison.ARGUMENT)
    assert report.verdict.first.name == "aten::arange"
    assert "step 7, after 6 that agree" in say(report)


def test_one_bit_of_a_weight_is_found_in_its_step_and_parameter(diverge, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    def prepare(step, some):
        if step == 9:
            net.fc.weight.detach().numpy().view("int32")[1, 5] ^= SECOND * 2**9
        return some
    train(images, labels)
    """
    monkeypatch.setattr(diverge_program, "PATIENCE_S", 0)
    report = diverge(TRAIN + dedent(text))
    assert (report.step, report.verdict.kind, report.verdict.parameter) == (9, comparison.INPUT, "fc.weight")
    assert (report.difference.ulps, report.difference.differing) == (2.0**9, 1)
    assert "1 of 432 elements; at most 512 ulps apart" in say(report)


def test_two_threads_are_found_in_the_operation_that_sums(diverge) -> None:
    text = """
    torch.set_num_threads(2 if SECOND else 1)
    net = nn.Sequential(nn.Conv2d(3, 16, 3))
    steps = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        net(torch.randn(32, 3, 12, 12)).square().sum().backward()
        steps.step()
    """
    report = diverge(TRAIN + dedent(text))
    assert (report.step, report.what, report.verdict.kind) == (1, "gradients", comparison.KERNEL)
    assert (report.verdict.first.name, report.verdict.first.module) == ("aten::convolution_backward", "0")
    assert [cause.name for cause in report.causes] == ["threads"]
    assert "threads is 1 in one run and 2 in the other" in say(report)
    assert "torch.set_num_threads" in say(report)


def test_seed_from_the_clock_is_found_with_its_line(diverge) -> None:
    report = diverge(
        "SEED = time.time_ns() % 2**40 + int(time.time())\n" + TRAIN.replace("SEED)", "int(time.time_ns() / 1000))")
    )
    assert report.step == 0
    (cause,) = report.causes
    assert cause.name == "time"
    assert "torch.manual_seed at train.py:" in cause.evidence
    assert report.verdict.kind == comparison.RANDOM


def test_random_layer_without_a_seed_is_named(diverge) -> None:
    text = TRAIN.replace("torch.manual_seed(SEED)", "torch.set_rng_state(torch.Generator().manual_seed(1).get_state())")
    text = text.replace("nn.Dropout(0.0)", "nn.Dropout(0.3)")
    report = diverge(
        f"{text}\ntorch.set_rng_state(torch.Generator().manual_seed(int(SECOND)).get_state())\ntrain(images, labels)"
    )
    assert (report.verdict.kind, report.verdict.first.module) == (comparison.RANDOM, "drop")
    assert [cause.name for cause in report.causes] == ["seeds"]
    assert "the program sets no seed" in say(report)


def test_number_of_loader_workers_is_found(diverge) -> None:
    text = """
    class Noisy(TensorDataset):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image + torch.randn(()), label

    loader = DataLoader(Noisy(images, labels), batch_size=4, num_workers=2 if SECOND else 0)
    for some, classes in loader:
        train(some, classes)
    """
    report = diverge(TRAIN + dedent(text))
    assert [cause.name for cause in report.causes] == ["workers"]
    assert "DataLoader at train.py:" in say(report)
    assert "num_workers" in say(report)


def test_generator_of_python_without_a_seed_is_found_by_holding_seeds_fixed(diverge) -> None:
    report = diverge(
        f"{TRAIN}\nprepare = lambda step, some: some * random.random() if step == 3 else some\ntrain(images, labels)"
    )
    assert (report.step, report.verdict.kind) == (3, comparison.ARGUMENT)
    assert [(one.name, one.agree) for one in report.tried] == [("hash", False), ("seeds", True)]
    assert "random.seed(0)" in say(report)


def test_program_without_an_optimiser_is_compared_as_a_whole(diverge) -> None:
    text = "net = nn.Linear(3, 2)\nwith torch.no_grad():\n    net(torch.full((2, 3), float(SECOND)))"
    report = diverge("torch.manual_seed(1)\n" + text)
    assert report.whole
    assert (report.verdict.kind, report.verdict.first.name) == (comparison.ARGUMENT, "aten::full")
    assert "No optimiser took a step" in say(report)
    same = diverge("torch.manual_seed(1)\nnn.Linear(3, 2)(torch.ones(3))")
    assert not same.differs
    assert "agree in every operation" in say(same)


def test_run_that_ends_earlier_differs_where_it_ends(diverge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diverge_program, "PATIENCE_S", 0)
    report = diverge(TRAIN + "train(images[:20 if SECOND else 40], labels)")
    assert (report.step, report.steps) == (6, 5)
    assert report.verdict.kind == comparison.OPERATIONS
    assert "it has ended" in say(report)
    assert "--find-cause" in say(report)


def test_limit_ends_the_program_and_rare_differences_take_more_runs(diverge) -> None:
    late = f"{TRAIN}\nprepare = lambda step, some: some + SECOND * (step == 6)\ntrain(images, labels)"
    report = diverge(late, limit=4)
    assert not report.differs
    assert report.steps == 4
    Path("runs").unlink()
    rare = TRAIN + "SECOND = number == 3\nprepare = lambda step, some: some + SECOND\ntrain(images, labels)"
    report = diverge(rare, further=4)
    assert (report.step, report.what) == (1, "inputs")
    assert report.runs >= 4


def test_program_that_fails_is_told_with_its_last_lines(diverge) -> None:
    with pytest.raises(ProgramError, match=r"(?s)failed by itself \(exit status 1.*ZeroDivisionError"):
        diverge(TRAIN + "train(images, labels)\n1 / 0")
    assert ProgramError.exit_code == 1
