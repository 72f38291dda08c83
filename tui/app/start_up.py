"""Starts the app in a terminal, on what the command line names."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from engine.errors import EXIT_OK, NondetError
from engine.protocol.faults import printable
from engine.study.opening import is_regular, is_there
from engine.study.paths import StudyPaths, enter_path, find_store
from engine.study.study_plan import refuse_unwritten
from tui.app.app import NondetApp
from tui.app.patches import survive_stray_bytes
from tui.app.settings import Locations, Settings, read_settings
from tui.app.settings import here as own_locations
from tui.app.terminal import find_obstacle


def run_app(*, store: str | None, path: str | None, readonly: bool, mouse: bool) -> int:
    """Show the app until it is left.

    Returns:
        The exit code.

    Raises:
        NondetError: If the terminal cannot show it, or the path is neither a protocol nor a study.
    """
    locations = own_locations()
    settings = read_settings(locations.config)
    refuse_obstacles(settings)
    opened = None if path is None else find_opened(path, store)
    survive_stray_bytes()
    while True:
        settings = replace(settings, mouse=mouse and settings.mouse)
        app = NondetApp(store=store, opened=opened, readonly=readonly, settings=settings, locations=locations)
        app.run(mouse=settings.mouse)
        if not app.tour_wanted:
            return app.return_code or EXIT_OK
        play(locations, settings)
        settings = read_settings(locations.config)


def play(locations: Locations, settings: Settings) -> int:
    """Load the tour, which nobody else waits for, and play it."""
    from tui.app.tour.guide import play_tour  # noqa: PLC0415

    return play_tour(locations, settings)


def run_tour(*, mouse: bool) -> int:
    """Play the tour until it is left.

    Returns:
        The exit code.

    Raises:
        NondetError: If the terminal cannot show it, or there is no room for its study.
    """
    locations = own_locations()
    settings = read_settings(locations.config)
    refuse_obstacles(settings)
    survive_stray_bytes()
    return play(locations, replace(settings, mouse=mouse and settings.mouse))


def refuse_obstacles(settings: Settings) -> None:
    """Refuse a terminal that cannot show the app with the user's settings.

    Raises:
        NondetError: That says why, and what to use instead.
    """
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    encoding = (sys.__stderr__ or sys.stdout).encoding  # the framework draws on it
    obstacle = find_obstacle(os.environ, encoding, interactive=interactive, glyphs=settings.glyphs)
    if obstacle is not None:
        raise NondetError(f"nondet-tui: {obstacle}")


def find_opened(path: str, store: str | None) -> Path:
    """Find what a path names: a protocol file, a study's folder, or a study of the store.

    Raises:
        NondetError: If it is none of them.
    """
    for candidate in (enter_path(path), find_store(store) / path):
        if is_regular(candidate) or is_there(StudyPaths(candidate).plan):
            return candidate
        refuse_unwritten(StudyPaths(candidate))
    raise NondetError(
        f"nondet-tui: {printable(path)}: no protocol file, no study folder and no study in {find_store(store)}: "
        "`nondet-tui ls` lists the studies"
    )
