"""A digit goes to the pane that bears it, on every screen; it bears none where digits stand for ways to begin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events
from textual._xterm_parser import XTermParser

from tests.helpers.screens import screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.screens.builder_keys import TOGGLES
from tui.app.screens.monitor import MonitorScreen

Make = Callable[..., NondetApp]
SIZES = [(80, 24), (120, 40)]


def find_focus(app: NondetApp) -> str | None:
    return None if app.focused is None else app.focused.id


@pytest.mark.parametrize("size", SIZES)
async def test_digits_go_to_the_panes_of_home_that_bear_them(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("2")
        assert find_focus(app) == "list", "there is nothing to look into yet"
        assert "1 Studies" not in screen_text(app)
        write_study(store / "alpha")
        await pilot.press("escape")
        app.screen.reading.ask()  # pyright: ignore[reportAttributeAccessIssue]
        await settle(pilot)
        await pilot.press("2")
        await settle(pilot)
        assert find_focus(app) == "preview"
        assert "─ 2 " in screen_text(app)
        await pilot.press("1")
        await settle(pilot)
        assert find_focus(app) == "list"
        assert "─ 1 Studies and protocols ─" in screen_text(app)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_digits_go_to_the_panes_of_the_builder_that_bear_them(make_app: Make, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        app.open_builder(Path("protocols/mine.toml"))
        await settle(pilot)
        before = app.screen.document.text()  # pyright: ignore[reportAttributeAccessIssue]
        for digit, pane in (("5", "plan"), ("4", "text"), ("3", "explain"), ("2", "settings"), ("1", "arms")):
            await pilot.press(digit)
            await settle(pilot)
            assert find_focus(app) == pane
            assert f"─ {digit} " in screen_text(app)
        await pilot.press("alt+2")
        await settle(pilot)
        after = app.screen.document.text()  # pyright: ignore[reportAttributeAccessIssue]
        assert 'vary = ["init"]' in before
        assert 'vary = ["init", "shuffle"]' in after


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_digits_go_to_the_panes_of_the_monitor_that_bear_them(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        app.open_monitor(write_study(store / "alpha", replicas=5, epochs=12))
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, MonitorScreen)
        for digit, pane in (("4", "runs"), ("3", "arms")):
            await pilot.press(digit)
            await settle(pilot)
            assert find_focus(app) == pane
            assert f"─ {digit} " in screen_text(app)
        for digit, plot in (("2", "arm"), ("1", "spread")):
            await pilot.press(digit)
            await settle(pilot)
            assert screen.front == plot
            assert f"─ {digit} " in screen_text(app)
            assert find_focus(app) == "arms", "the cursor stays in its list"
        await pilot.press("question_mark")
        await settle(pilot)
        assert "1 2 3 4" in screen_text(app) or size == SIZES[0], "the help of a small screen has to be scrolled"


def test_digits_with_alt_are_known_however_a_terminal_sends_them() -> None:
    """Most send Escape and the digit; the names are those that textual gives to what it reads."""
    for number, binding in enumerate(TOGGLES, start=1):
        for sequence in (f"\x1b{number}", f"\x1b[{48 + number};3u"):
            (event,) = [one for one in XTermParser().feed(sequence) if isinstance(one, events.Key)]
            assert event.key in binding.key.split(","), sequence
