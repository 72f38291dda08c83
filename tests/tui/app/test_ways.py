"""A person's way from nothing to a table, and from a study to a comparison, in the keys that are pressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.dispatch.launch import plan_protocol
from engine.dispatch.start import PreparedStudy
from engine.study.choices import NOTHING
from engine.tuning.choice import Decided
from tests.helpers.screens import screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp

Make = Callable[..., NondetApp]


async def walk(pilot: Pilot[None], keys: str) -> int:
    """Press keys, one after the other; return how many."""
    for key in keys.split():
        await pilot.press(key)
        await settle(pilot)
    return len(keys.split())


async def test_first_table_takes_six_keys_at_most(make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocols = store.parent / "protocols"
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: protocols)
    text = (protocols / "mine.toml").read_text()
    (protocols / "mine.toml").unlink()
    (protocols / "quickstart.toml").write_text(text.replace('name = "mine"', 'name = "quickstart"'))
    monkeypatch.setattr(
        "tui.app.app.decide",
        lambda protocol, **_: Decided(plan=plan_protocol(protocol), facts=(), chosen=NOTHING, notes=()),
    )
    monkeypatch.setattr(PreparedStudy, "start", lambda study: write_study(study.paths.folder, done=3, running=0))
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert "No study yet" in screen_text(app)
        assert await walk(pilot, "2 y r 2") <= 6
        shown = screen_text(app)
        assert "quickstart" in shown.splitlines()[0]
        assert "disagree" in shown
        assert "±" in shown, "figures with their errors"


async def test_comparison_takes_four_keys_at_most(make_app: Make, store: Path) -> None:
    write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert await walk(pilot, "t 8 j") <= 4
        shown = screen_text(app)
        assert "What differs" in shown
        assert "not told apart" in shown
        assert "±" not in shown.splitlines()[0]
