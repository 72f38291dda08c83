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
from tui.app.screens.start import StartScreen

Make = Callable[..., NondetApp]


async def walk(pilot: Pilot[None], keys: str) -> int:
    """Press keys, one after the other; return how many."""
    for key in keys.split():
        await pilot.press(key)
        await settle(pilot)
    return len(keys.split())


@pytest.mark.slow
async def test_first_table_takes_six_keys_at_most(make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocols = store.parent / "protocols"
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: protocols)
    text = (protocols / "mine.toml").read_text()
    (protocols / "mine.toml").unlink()
    (protocols / "quickstart.toml").write_text(text.replace('name = "mine"', 'name = "quickstart"'))
    monkeypatch.setattr(
        "tui.app.trainings.decide",
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


@pytest.mark.slow
async def test_comparison_takes_four_keys_at_most(make_app: Make, store: Path) -> None:
    write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert await walk(pilot, "c") <= 4
        assert "Real and worth having: A is better than B by 0.60 % points" in screen_text(app)
        await walk(pilot, "escape t")
        assert await walk(pilot, "c tab j") <= 3, "from the results too, with another arm"
        shown = screen_text(app)
        assert "Is A better than B?" in shown
        assert "├" in shown, "as a picture"


@pytest.mark.slow
async def test_two_studies_are_compared_in_four_keys(make_app: Make, store: Path) -> None:
    for name in ("alpha", "beta"):
        write_study(store / name, done=3, running=0)
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        start = app.screen
        assert isinstance(start, StartScreen)
        marked, other = [study.paths.name for study in start.studies.values()]
        assert await walk(pilot, "space j c") <= 4
        shown = screen_text(app)
        assert shown.splitlines()[0].split()[0] == marked, "the first is the one that was marked"
        names = [
            next(line for line in shown.splitlines() if line[1:3] == f"{letter} ").partition(study)[0].split()[2:]
            for letter, study in (("A", f"{marked}, n = "), ("B", f"{other}, n = "))
        ]
        assert names[0] == names[1] != [], "arms of one name"
        await walk(pilot, "escape")
        assert sum(line.startswith("│> ") for line in screen_text(app).splitlines()) == 1
        await walk(pilot, "k space")
        assert "│> " not in screen_text(app), "marked again, it is not"
