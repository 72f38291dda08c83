"""The tab of partings as a person uses it: what files tell, an answer that is kept, training two again, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from textual.pilot import Pilot

from engine.errors import StudyError
from engine.study.divergence_record import Divergence
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.screens import Make, open_results, press, read_notices, screen_text, settle
from tests.helpers.studies import write_digests, write_study
from tests.tui.text.test_divergence import FOUND
from tui.app.app import NondetApp
from tui.app.screens import results_parting
from tui.app.screens.dialogs import Prompt
from tui.app.screens.results_parting import PartingPage, read_known
from tui.text.divergence import Told


def make_found(paths: StudyPaths, **changes: Any) -> Divergence:
    runs = read_plan(paths).arms[0].runs
    return structs.replace(FOUND, studies=("live", "live"), runs=(runs[0], runs[2]), **changes)


async def open_study(pilot: Pilot[None], app: NondetApp, paths: StudyPaths) -> None:
    app.open_results(paths)
    await settle(pilot)


@pytest.mark.slow
async def test_files_tell_when_replicas_part_and_kept_answers_where(make_app: Make, store: Path) -> None:
    app = make_app()
    paths = write_study(store / "live", done=3, running=0)
    write_digests(paths)
    make_folder(paths.partings)
    write_record(paths.divergence("a", "b"), make_found(paths))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_study(pilot, app, paths)
        await press(pilot, "0")
        text = screen_text(app)
        assert "● Control" in text
        assert "2 pairs in epoch 2, 1 pair never in 8 epochs" in text
        assert "3 pairs before the first step" in text
        assert "replicas 1 and 3: they part in epoch 4, in step 7 of 32" in text
        assert "all inputs of aten::convolution_backward" in text
        assert "1e-05" in text, "the axis of the plot"
        await press(pilot, "down", "down")
        assert "all inputs of" not in screen_text(app), "nothing was found out about the second arm"
        assert "D trains two replicas again" in screen_text(app)


@pytest.mark.slow
async def test_key_trains_two_again_and_shows_what_that_gives(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    paths = write_study(store / "live", done=3, running=0)
    write_digests(paths)
    asked: list[tuple[str, str, str]] = []

    def find(words: list[str], store: str | None) -> list[SimpleNamespace]:
        asked.append((words[0], words[1], words[2]))
        return [SimpleNamespace(run=run) for run in make_found(paths).runs]

    def train(sides: list[SimpleNamespace], limit: int | None) -> None:
        make_folder(paths.partings)
        write_record(paths.divergence("a", "b"), make_found(paths, epoch=2, step=0))

    monkeypatch.setattr(results_parting, "find_sides", find)
    monkeypatch.setattr(results_parting, "check_sides", lambda sides: None)
    monkeypatch.setattr(results_parting, "tell", lambda found, sides, recipes: Told(found))
    monkeypatch.setattr(results_parting, "find_out", train)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_study(pilot, app, paths)
        await press(pilot, "0", "D")
        assert isinstance(app.screen, Prompt)
        assert "1 3" in screen_text(app), "the two that part first"
        await press(pilot, "enter")
        await settle(pilot)
        assert asked[0] == (f"{paths.folder}:Control", "1", "3")
        assert "they part in epoch 2, in step 1 of 32" in screen_text(app)


def test_settings_are_told_of_the_very_runs_of_an_answer(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer with a run of another study, whose arm and replica are of the same name, is none of this study's."""
    paths = write_study(store / "live", done=3, running=0)
    own = make_found(paths)
    make_folder(paths.partings)
    write_record(paths.divergence("a", "b"), own)
    write_record(
        paths.divergence("a", "c"), structs.replace(own, studies=("live", "other"), runs=(own.runs[0], "f" * 16))
    )
    monkeypatch.setattr(results_parting, "check_sides", lambda sides: None)
    monkeypatch.setattr(results_parting, "tell", lambda found, sides, recipes: Told(found, settings=("told",)))
    assert [one.settings for one in read_known(paths).told] == [("told",), ()]


@pytest.mark.slow
async def test_cursor_stays_on_its_answer_whatever_answers_come_and_go(make_app: Make, store: Path) -> None:
    app = make_app()
    paths = write_study(store / "live", done=3, running=0)
    write_digests(paths)
    make_folder(paths.partings)
    found = make_found(paths)
    write_record(paths.divergence("b", "b"), found)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_study(pilot, app, paths)
        await press(pilot, "0", "down")
        page = app.screen.query_one(PartingPage)
        assert page.told == Told(found)
        write_record(
            paths.divergence("a", "a"), structs.replace(found, replicas=(1, 2), runs=(found.runs[0], "d" * 16))
        )
        await press(pilot, "1", "0")
        assert len(page.known.told if page.known else ()) == 2
        assert page.told == Told(found)
        await press(pilot, "down")
        for path in paths.partings.iterdir():
            path.unlink()
        await press(pilot, "1", "0")
        assert page.told is None
        assert page.find_arm() is not None, "the cursor is on a line that is there"


@pytest.mark.slow
async def test_runs_that_cannot_be_trained_again_are_told(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(words: list[str], store: str | None) -> None:
        raise StudyError("live: Control has replicas 1 to 3, and no 9")

    monkeypatch.setattr(results_parting, "find_sides", refuse)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "0", "enter", *["backspace"] * 3, *"1 9", "enter")
        await settle(pilot)
        assert "Control has replicas 1 to 3, and no 9" in screen_text(app)
        assert app.screen.query_one(PartingPage).training == ""


@pytest.mark.slow
async def test_app_that_only_shows_starts_nothing(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_results(pilot, app, store)
        page = screen.query_one(PartingPage)
        page.options = replace(page.options, readonly=True)
        await press(pilot, "0", "D")
        assert app.screen is screen
        assert "nothing is started" in read_notices(app)
