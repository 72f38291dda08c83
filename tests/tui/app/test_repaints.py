"""A dialog that closes has the screen below painted once: over a slow line the second time can be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.screen import Screen

from tests.helpers.screens import Make, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.screens.dialogs import Confirm
from tui.app.screens.monitor import MonitorScreen


@pytest.mark.parametrize("opens_study", [False, True])
async def test_screen_below_a_dialog_is_painted_once(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch, *, opens_study: bool
) -> None:
    paths = write_study(store / "s")
    app = make_app(opened=paths.folder) if opens_study else make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        if isinstance(app.screen, MonitorScreen):
            app.screen.held = True  # the clock looks at nothing meanwhile
        before = screen_text(app)
        app.push_screen(Confirm("Really?"))
        await settle(pilot)
        painted: list[str] = []
        display = App[None]._display

        def note(self: App[None], screen: Screen[Any], update: Any) -> None:
            painted.append(type(update).__name__)
            display(self, screen, update)

        monkeypatch.setattr(App, "_display", note)
        await pilot.press("n")
        await settle(pilot)
        assert painted.count("LayoutUpdate") == 1, painted
        assert screen_text(app) == before
