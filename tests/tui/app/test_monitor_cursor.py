"""Where the monitor's cursor begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.screens import Make, settle
from tests.helpers.studies import write_study
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.monitor_plots import ArmPlot
from tui.app.widgets.lines import LinesView


@pytest.mark.parametrize(
    ("arms", "first"),
    [
        ({"Control": [], "Linear: control": [], "Shuffling": ["shuffle"], "Init": ["init"]}, "Shuffling"),
        ({"Control": [], "Again": []}, "Control"),
    ],
)
async def test_cursor_begins_on_the_first_arm_that_varies_something(
    make_app: Make, store: Path, arms: dict[str, list[str]], first: str
) -> None:
    app = make_app(opened=write_study(store / "s", arms=arms).folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, MonitorScreen)
        assert (screen.top, screen.query_one("#arms", LinesView).key) == (first, first)
        assert screen.query_one(ArmPlot).curves[-1].name == first
        await pilot.press("k", "k")
        await settle(pilot)
        assert screen.top == "Control"
        screen.reading.ask()
        await settle(pilot)
        assert screen.top == "Control"


async def test_first_arm_that_varies_something_is_in_view(make_app: Make, store: Path) -> None:
    arms: dict[str, list[str]] = {**{f"Control {number}": [] for number in range(40)}, "Init": ["init"]}
    app = make_app(opened=write_study(store / "s", arms=arms).folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)

        view = app.screen.query_one("#arms", LinesView)
        assert view.scroll_offset.y <= view.row < view.scroll_offset.y + view.size.height
