"""Studies that are another user's, or that nobody can read, are shown; what cannot be asked of them is said."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.study import paths as study_paths
from tests.helpers.screens import read_notices, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp

Make = Callable[..., NondetApp]


@pytest.mark.slow
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
        assert "cannot be written" in read_notices(app)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("p")
        await settle(pilot)
        assert "cannot be written" in read_notices(app)
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
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        said = " ".join(screen_text(app).replace("│", " ").split())
        assert "cannot be read as a store (Permission denied)" in said
        assert app.is_running


@pytest.mark.slow
@pytest.mark.parametrize("linked", ["a folder in it", "itself"])
async def test_deleting_a_study_touches_nothing_outside_of_it(make_app: Make, store: Path, linked: str) -> None:
    outside = write_study(store.parent / "outside", done=3, running=0).folder
    before = sorted(outside.rglob("*"))
    if linked == "itself":
        store.mkdir(exist_ok=True)
        (store / "old").symlink_to(outside)
    else:
        (write_study(store / "old", done=3, running=0).folder / "forks").symlink_to(outside)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("d", *"old", "enter")
        await settle(pilot)
        assert sorted(outside.rglob("*")) == before
        assert (store / "old").is_symlink() == (linked == "itself")
        if linked == "itself":
            assert "is a link" in read_notices(app)


def test_deleting_does_not_follow_links_that_appear_meanwhile() -> None:
    assert shutil.rmtree.avoids_symlink_attacks
