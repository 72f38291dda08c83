"""Which process of a program is watched, and what of its tensors cannot be: two watchers here, as in two processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.tracing.seeds import SeedWatch
from engine.tracing.wanted import Wanted
from engine.tracing.watcher import Watcher
from tui.commands.diverge_process import Outcome, read_outcome


class Opaque(Tensor):
    """Stands for tensors of a class that shows nobody what it holds."""

    @staticmethod
    def __new__(cls) -> Opaque:
        return Tensor._make_wrapper_subclass(cls, (3,))  # type: ignore[attr-defined]

    @classmethod
    def __torch_dispatch__(cls, *_: Any) -> Any:
        raise NotImplementedError


class Named(Tensor):
    """Stands for tensors of a class that only has another name."""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Watcher]]:
    made: list[Watcher] = []

    def make_watcher(process: int) -> Watcher:
        """Return what watches a process, which is the one that runs from now on."""
        monkeypatch.setattr(os, "getpid", lambda: process)
        made.append(Watcher(Wanted(str(tmp_path)), SeedWatch(fixed=False)))
        return made[-1]

    yield make_watcher
    for watcher in made:
        for lines in watcher._lines.values():
            lines.close()


def train(watcher: Watcher, *parameters: Tensor) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    optimiser.param_groups[0]["params"] = list(parameters)
    watcher._after_step(optimiser, (), {})


def read(folder: Path) -> Outcome:
    return read_outcome(folder, 0, "", 0.0)


def test_process_that_takes_a_step_is_the_one_though_others_end_before_and_after(
    make: Callable[[int], Watcher], tmp_path: Path
) -> None:
    make(1)._end()
    assert read(tmp_path).process == "1"
    trainer = make(2)
    train(trainer, torch.ones(2))
    trainer._end()
    make(3)._end()
    outcome = read(tmp_path)
    assert (outcome.process, len(outcome.marks)) == ("2", 1)


def test_process_that_ends_last_stands_for_a_program_without_steps(
    make: Callable[[int], Watcher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(1)._end()
    make(2)._end()
    monkeypatch.setenv("RANK", "1")
    make(3)._end()
    assert read(tmp_path).process == "2"


def test_what_cannot_be_read_is_counted_and_the_rest_is_compared(
    make: Callable[[int], Watcher], tmp_path: Path
) -> None:
    watcher = make(1)
    train(watcher, Opaque(), torch.ones(2).as_subclass(Named), torch.ones(2), Opaque())
    train(watcher, Opaque(), torch.ones(2).as_subclass(Named).mul_(2), torch.ones(2), Opaque())
    watcher._end()
    outcome = read(tmp_path)
    assert outcome.facts.unread == 2
    one, other = outcome.marks
    assert one.parameters != other.parameters
