"""What a test sees of the app, and when it may look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from tui.app.app import NondetApp

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
