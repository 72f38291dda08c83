"""Studies that are another user's, or that nobody can read, are shown; what cannot be asked of them is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.study import paths as study_paths
from tests.helpers.screens import screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp

Make = Callable[..., NondetApp]


async def test_request_that_cannot_be_made_is_said(make_app: Make, store: Path) -> None:
    paths = write_study(store / "theirs")
    paths.control.rmdir()
    paths.control.write_text("no folder")
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("x")
        await settle(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert "cannot be written" in screen_text(app)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("p")
        await settle(pilot)
        assert "cannot be written" in screen_text(app)
        assert app.is_running


async def test_store_that_cannot_be_read_is_said(make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(store / "study")
    listed = os.listdir

    def refuse(path: object) -> list[str]:
        if str(path) == str(store):
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(path)  # type: ignore[call-overload]

    monkeypatch.setattr(study_paths.os, "listdir", refuse)
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "cannot be read as a store (Permission denied)" in " ".join(screen_text(app).split())
        assert app.is_running
