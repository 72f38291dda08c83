"""A running study as text: bars, counts, spread, obstacles and failures, at any width and in ASCII."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engine.study.control import Control
from engine.study.epochs import EpochRecord
from engine.study.paths import StudyPaths
from engine.study.run_state import RunState
from engine.study.snapshot import ArmView, RunView, Spread, StudySnapshot
from engine.study.supervisor_record import SlotRecord, Supervision
from tests.helpers.records import make_supervisor
from tui.commands.progress import (
    describe_line,
    format_bar,
    format_counts,
    format_spread,
    format_summary,
    list_failures,
    render,
)
from tui.text.format import ASCII, UNICODE, describe_state

EPOCH = EpochRecord(epoch=1, train_loss=1, test_accuracy=50.0, test_cross_entropy=1, lr=0.1, seconds=1.0)


def run(name: str, status: Any, epochs: int = 0, **state: Any) -> RunView:
    return RunView(id=name, state=RunState(status=status, **state), trained=epochs, planned_epochs=4)


def arm(name: str, *runs: RunView, spread: Spread | None = None) -> ArmView:
    counts: dict[Any, int] = {}
    for one in runs:
        counts[one.state.status] = counts.get(one.state.status, 0) + 1
    diverged = sum(one.state.diverged for one in runs)
    return ArmView(name=name, vary=("init",), empty={}, runs=runs, counts=counts, diverged=diverged, spread=spread)


SLOTS = (
    SlotRecord("cpu:0", "training"),
    SlotRecord("cpu:1", "waiting", message="the slot is held by study [b]other[/b]"),
)


def snapshot(*arms: ArmView, **changes: Any) -> StudySnapshot:
    runs = {one.id: one for a in arms for one in a.runs}
    counts: dict[Any, int] = {}
    for one in runs.values():
        counts[one.state.status] = counts.get(one.state.status, 0) + 1
    settings: dict[str, Any] = {
        "study": "s", "arms": arms, "runs": runs, "counts": counts, "diverged": 0, "control": Control(),
        "supervision": Supervision(make_supervisor(slots=SLOTS), asked=True), "seconds_left": 83.0,
    }  # fmt: skip
    return StudySnapshot(**(settings | changes))


SPREAD = Spread(epoch=3, n=2, minimum=88.5, mean=89.0, maximum=89.5, sd=0.5)
ARM = arm("Init", run("a", "done", 4), run("b", "running", 2), run("c", "failed"), run("d", "queued"), spread=SPREAD)


def draw(picture: Any, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    console.print(picture)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_bar_counts_epochs_and_not_runs_alone() -> None:
    assert format_bar(ARM, width=16) == "━" * 6 + "─" * 10
    assert format_bar(arm("x"), width=4) == "────"


def test_counts_name_what_is_there() -> None:
    assert format_counts(ARM) == "1/4 ●1 ✗1"
    diverged = arm("x", run("a", "done", 4, diverged=True), run("b", "lost"))
    assert format_counts(diverged) == "1/2 ✗1 ~1"
    assert format_counts(arm("x", run("a", "done", 4))) == "✓1/1", (
        "the glyph stands where all are done, not beside 0 of 3"
    )
    assert format_counts(ARM, ASCII).isascii()


def test_spread_shows_epoch_n_and_the_four_figures() -> None:
    assert format_spread(ARM) == "epoch 3  n=2  88.50 / 89.00 / 89.50  SD 0.50"
    assert format_spread(ARM, tight=True) == "ep 3 n=2 88.50/89.00/89.50 SD 0.50"
    assert format_spread(arm("x")) == "–"


FAILING_ALIKE: dict[str, Any] = {"minimum": 9.91, "mean": 9.91, "maximum": 9.91, "sd": 0.0}


@pytest.mark.parametrize(
    ("diverged", "spread", "text"),
    [
        (3, Spread(epoch=1, n=3, diverged=3, **FAILING_ALIKE), "epoch 1  n=3 diverged  9.91 / 9.91 / 9.91"),
        (3, None, "3 diverged"),
        (
            2,
            Spread(epoch=1, n=3, diverged=2, minimum=9.91, mean=20.0, maximum=40.18, sd=14.27),
            "epoch 1  n=3 (2 diverged)  9.91 / 20.00 / 40.18  SD 14.27",
        ),
        (1, SPREAD, "epoch 3  n=2  88.50 / 89.00 / 89.50  SD 0.50  1 diverged"),
        (0, Spread(epoch=2, n=1, **FAILING_ALIKE), "epoch 2  n=1  9.91"),
    ],
)
def test_replicas_that_diverged_are_no_agreement(diverged: int, spread: Spread | None, text: str) -> None:
    """No SD of 0 is shown that comes from replicas failing alike, or from one alone."""
    runs = [run(name, "done", 1, diverged=number < diverged) for number, name in enumerate("abc")]
    one = arm("x", *runs, spread=spread)
    assert format_spread(one) == text
    shown = draw(render(snapshot(one, diverged=diverged), [], width=120), 120)
    assert text in shown
    assert ("~ diverged: loss or predictions not finite" in shown) == bool(diverged)
    assert text in describe_line(snapshot(one, diverged=diverged))


@pytest.mark.parametrize("width", [10, 40, 80, 120, 200])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
def test_picture_fits_and_names_everything(width: int, symbols: Any) -> None:
    text = draw(render(snapshot(ARM, arm("[red]long[/red]" * 9)), ["disk is full"], symbols, width=width), width)
    assert max(map(len, text.splitlines())) <= width
    assert symbols is UNICODE or text.isascii()
    if width >= 80:
        figures = "88.50 / 89.00 / 89.50" if width >= 100 else "ep 3 n=2 88.50/89.00/89.50 SD 0.50"
        bar = symbols.bar * 3 + symbols.bar_rest
        pieces = ("running  1 of 4 runs  1 of 2 slots  about 1 min 23 s left", figures, bar, "Init", "[red]l")
        for piece in (*pieces, "slot cpu:1: the slot is held by study [b]other[/b]", "disk is full"):
            assert piece in text


def test_plain_lines_hold_the_same() -> None:
    text = describe_line(snapshot(ARM))
    assert "1 of 4 runs" in text
    assert "SD 0.50" in text


GONE = Supervision(None)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "running"),
        ({"control": Control(paused=True)}, "paused"),
        (
            {"control": Control(cancelled=True), "supervision": GONE, "counts": {"cancelled": 4}},
            "cancelled",
        ),
        ({"supervision": GONE, "counts": {"failed": 1, "done": 3}}, "1 failed"),
        ({"supervision": GONE, "counts": {"lost": 1, "done": 3}}, "incomplete"),
        ({"supervision": GONE, "counts": {"done": 4}}, "done"),
        ({"control": Control(cancelled=True)}, "stopping"),
        ({"supervision": GONE, "counts": {"running": 1, "done": 3}}, "running"),
    ],
)
def test_state_of_a_study_in_a_word(changes: dict[str, Any], word: str) -> None:
    seen = snapshot(ARM, **changes)
    assert describe_state(seen.state, seen.counts.get("failed", 0), UNICODE).endswith(word)
    assert word in format_summary(seen), "the line of --batch says the same"


def test_time_left_is_said_of_what_is_being_trained() -> None:
    assert "about 1 min 23 s left" in format_summary(snapshot(ARM))
    ended = Supervision(make_supervisor(slots=SLOTS), asked=False)
    assert "left" not in format_summary(snapshot(ARM, supervision=ended)), "nobody trains what is missing"
    assert "left" not in format_summary(snapshot(ARM, seconds_left=0.0)), "what failed is not tried again"


def test_failures_say_what_happened_and_where_the_log_is() -> None:
    broken = arm(
        "a\x1bb", run("r", "failed", attempts=2, reason="ValueError: \x1b[31mno"), run("r", "failed", attempts=2)
    )
    failures = list_failures(snapshot(broken), StudyPaths(Path("/store/s")))
    assert list(failures) == ["r"]
    assert "/store/s/runs/r/attempts/02/log.txt" in failures["r"]
    assert "replica 1: failed: ValueError: \\x1b[31mno" in failures["r"]
    assert "\x1b" not in failures["r"]
