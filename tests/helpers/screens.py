"""What a test sees of the app, and when it may look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.screens.results import ResultsScreen

Make = Callable[..., NondetApp]
"""The fixture `make_app`."""

SIZES = [(80, 24), pytest.param((120, 40), marks=pytest.mark.slow)]
"""Columns and rows; the smallest leaves out the most."""


async def settle(pilot: Pilot[None]) -> None:
    """Wait until threads have read what there is, and what they brought was acted on, which may start others."""
    for _ in range(3):
        with contextlib.suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def screen_text(app: NondetApp) -> str:
    """What stands on the screen, row by row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def read_notices(app: NondetApp) -> str:
    """What the app has told and still shows; on the screen long lines are wrapped."""
    return "\n".join(notice.message for notice in app._notifications)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, one after the other, and wait for what each does."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def open_results(pilot: Pilot[None], app: NondetApp, store: Path) -> ResultsScreen:
    """Open the results of a study whose runs have not all finished."""
    await settle(pilot)
    app.open_results(write_study(store / "live", done=2))
    await settle(pilot)
    assert isinstance(app.screen, ResultsScreen)
    return app.screen
