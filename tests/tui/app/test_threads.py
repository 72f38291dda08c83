"""Reading beside the event loop: one at a time, and never for a screen that has gone."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from tests.helpers.screens import Make, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.follow import Follower, Picture
from tui.app.preview import preview_plan
from tui.app.previewed import ProtocolPreview
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.monitor_plots import ArmPlot, SpreadPlot
from tui.app.screens.start import StartScreen
from tui.app.widgets.lines import LinesView


@pytest.mark.slow
async def test_study_is_read_by_one_at_a_time(make_app: Make, store: Path, monkeypatch: Any) -> None:
    """Two that add up the same epochs would count them twice."""
    inside, most, looks = 0, 0, 0
    original = Follower.look

    def look(self: Follower, focus: str | None = None) -> Picture:
        nonlocal inside, most, looks
        inside, looks = inside + 1, looks + 1
        most = max(most, inside)
        time.sleep(0.05)
        try:
            return original(self)
        finally:
            inside -= 1

    monkeypatch.setattr(Follower, "look", look)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.open_monitor(write_study(store / "s"))
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, MonitorScreen)
        for _ in range(5):
            screen.reading.ask()
            await pilot.pause(0.02)
        await settle(pilot)
    assert looks > 0
    assert most == 1


@pytest.mark.slow
@pytest.mark.parametrize("key", ["m", "r"])
async def test_screen_may_be_left_while_it_reads(make_app: Make, store: Path, monkeypatch: Any, key: str) -> None:
    """What comes later for it is dropped."""
    let_go = threading.Event()

    def wait(*_: Any) -> None:
        let_go.wait(10)

    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", wait)
    monkeypatch.setattr("tui.app.follow.find_metrics", lambda path: wait())
    app = make_app()
    paths = write_study(store / "s", done=3, running=0)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        if key == "m":
            app.open_monitor(paths)
        else:
            app.open_results(paths)
        await pilot.pause(0.1)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, StartScreen)
        let_go.set()
        await settle(pilot)
        assert isinstance(app.screen, StartScreen)


@pytest.mark.slow
async def test_arm_under_the_cursor_is_drawn_on_top_at_once(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.open_monitor(write_study(store / "s"))
        await settle(pilot)
        arms, plot = app.screen.query_one("#arms", LinesView), app.screen.query_one(ArmPlot)
        spread = app.screen.query_one(SpreadPlot)
        assert (spread.front, plot.curves[-1].name) == (1, arms.key)
        await pilot.press("k")
        await pilot.pause()
        assert arms.key == "Control"
        assert (spread.front, plot.curves[-1].name) == (0, arms.key)


@pytest.mark.slow
async def test_runs_that_are_done_are_counted_beside_the_event_loop_and_once_per_change(
    make_app: Make, monkeypatch: Any
) -> None:
    counted: list[str] = []

    def count(protocol: Protocol, plan: Plan, store: Path) -> ProtocolPreview:
        counted.append(threading.current_thread().name)
        return replace(preview_plan(protocol, plan, store), finished=frozenset(list(plan.recipes)[:1]))

    monkeypatch.setattr("tui.app.screens.draft.preview_plan", count)
    app = make_app(opened=Path("protocols/mine.toml"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "1 already done" in screen_text(app)
        assert len(counted) == 1
        await pilot.press("right_square_bracket", "left_square_bracket", "tab", "shift+tab")
        await settle(pilot)
        assert len(counted) == 1, "moving a cursor reads nothing"
        await pilot.press("a", "alt+6")
        await settle(pilot)
        assert len(counted) > 1
        assert threading.main_thread().name not in counted
