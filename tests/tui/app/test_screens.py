"""The screens as a person meets them: every action by keyboard, every state, every size."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.geometry import Size

from engine.dispatch.launch import plan_protocol
from engine.dispatch.start import PreparedStudy
from engine.study.choices import NOTHING
from engine.study.files import make_folder
from engine.tuning.choice import Decided
from tests.helpers.screens import SIZES, Make, screen_text, settle
from tests.helpers.studies import PROTOCOL, read_requests, write_study
from tui.app.palette import Offers
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.dialogs import Help, Reader
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.results import ResultsScreen
from tui.app.screens.start import StartScreen
from tui.app.screens.too_small import TooSmall
from tui.app.widgets.lines import LinesView
from tui.app.widgets.plotview import PlotView

pytestmark = pytest.mark.slow


async def test_empty_store_says_what_to_do_first(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "No study yet. Enter opens a protocol in the builder" in text
        assert "mine" in text


@pytest.mark.parametrize("size", SIZES)
async def test_whole_way_by_keyboard(make_app: Make, store: Path, size: tuple[int, int], monkeypatch: Any) -> None:
    """Start, new protocol, toggle, save and run, watch, read, back again."""
    started: list[Path] = []
    monkeypatch.setattr(
        "tui.app.trainings.decide",
        lambda protocol, store, timed: Decided(
            plan=plan_protocol(protocol), facts=(), chosen=NOTHING, notes=("the CPU is used: no driver",)
        ),
    )
    monkeypatch.setattr(PreparedStudy, "start", lambda study: started.append(study.paths.folder))
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await settle(pilot)
        await pilot.press("G", "enter")
        await settle(pilot)
        assert isinstance(app.screen, BuilderScreen)
        assert "mine-2 (not saved)   valid, 3 runs" in screen_text(app)
        await pilot.press("a", "alt+6")
        await settle(pilot)
        assert [str(arm["name"]) for arm in app.screen.document.arms] == [
            "Parameter Initialization",
            "Random Bit Change",
        ]
        await pilot.press("ctrl+r", "enter")
        await settle(pilot)
        said = " ".join(screen_text(app).split())
        assert "Train mine-2? " in said, "nothing is started without a question"
        assert started == []
        assert "6 runs of 4 epochs" in said
        assert re.search(r"on (1 to \d+ slots, as auto chooses|1 slot \(cpu:0)", said)
        assert "its data are there" in said
        await pilot.press("y")
        await settle(pilot)
        assert started == [store / "mine-2"]
        saved = Path("protocols/mine-2.toml").read_text()
        assert saved.startswith("# Began as a copy of mine.toml.\n[protocol]")
        assert "# and this one" in saved
        assert 'vary = ["bit"]' in saved
        assert isinstance(app.screen, MonitorScreen)
        assert "mine-2" in screen_text(app)
        assert "the CPU is used: no driver" in [note.message for note in app._notifications]
        await pilot.press("r")
        await settle(pilot)
        assert isinstance(app.screen, ResultsScreen)
        await pilot.press("q", "q", "q")
        await settle(pilot)
        assert isinstance(app.screen, StartScreen)
        assert "mine-2" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_monitor_shows_spread_arms_runs_and_their_states(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    paths = write_study(store / "live", replicas=5, failed=1)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "live   ● running   6 of 15 runs   1 of 2 slots" in text
        assert "SD of test accuracy, %" in text
        assert "[red]all[/]" in text, "brackets are text"
        assert "\x1b" not in text
        assert "├" in text
        if size == (80, 24):
            await pilot.press("tab")
            await settle(pilot)
            text = screen_text(app)
        assert "✓✓●✗◌" in text
        assert " 4/8 " in text


async def test_plot_keys_change_what_is_drawn(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live", epochs=30)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        plot, seen = app.screen.query_one(PlotView), [screen_text(app)]
        for key in ("m", "s", "L", "left_square_bracket", "plus", "less_than_sign", "asterisk", "0", "a", "z"):
            await pilot.press(key)
            await settle(pilot)
            seen.append(screen_text(app))
            assert seen[-1] != seen[-2], key
        assert plot.cursor is None
        await pilot.press("left_square_bracket", "left_square_bracket")
        await settle(pilot)
        assert f"epoch {plot.cursor}" in screen_text(app)
        assert plot.cursor == 28


async def test_held_view_stays_while_the_study_goes_on(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live", done=1, running=1)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot)
        assert "view held" in screen_text(app)
        write_study(store / "live", done=3, running=0)
        await pilot.pause(0.6)
        assert "3 of 9 runs" in screen_text(app)
        await pilot.press("space")
        await pilot.pause(0.5)
        await settle(pilot)
        assert "9 of 9 runs" in screen_text(app)


async def test_requests_are_confirmed_and_written(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("x", "n")
        await settle(pilot)
        assert read_requests(paths) == []
        await pilot.press("x", "y", "p")
        await settle(pilot)
        assert [verb for verb, _ in read_requests(paths)] == ["cancel", "pause"]
        await pilot.press("enter")
        await settle(pilot)
        assert "running" in screen_text(app)
        await pilot.press("j", "j", "x")
        await settle(pilot)
        assert read_requests(paths)[-1] == ("cancel", ["0000000100000002"])
        await pilot.press("a", "enter")
        await settle(pilot)
        assert read_requests(paths)[-1] == ("pause", ["0000000100000002"])
        before = read_requests(paths)
        await pilot.press("k", "p", "x")
        await settle(pilot)
        assert read_requests(paths) == before, "a run that is done has nothing left to pause or cancel"


async def test_readonly_changes_nothing(make_app: Make, store: Path, monkeypatch: Any) -> None:
    paths = write_study(store / "live")
    monkeypatch.setattr("tui.app.trainings.start_supervisor", lambda paths: pytest.fail("started"))
    monkeypatch.setattr(PreparedStudy, "start", lambda study: pytest.fail("started"))
    app = make_app(readonly=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "read only" in screen_text(app)
        await pilot.press("x", "d", "r", "enter")
        await settle(pilot)
        await pilot.press("x", "p", "C")
        await settle(pilot)
        assert read_requests(paths) == []
        assert paths.folder.is_dir()


async def test_log_is_read_searched_and_harmless(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, Reader)
        assert "[bold]not markup[/bold]" in screen_text(app)
        await pilot.press("slash", *"needle", "enter")
        await settle(pilot)
        view = app.screen.query_one(LinesView)
        assert view.scroll_offset.y == 1
        assert "1 of 30 lines with needle" in screen_text(app)
        await pilot.press("n", "n", "N")
        await settle(pilot)
        assert view.scroll_offset.y == 4
        await pilot.press("slash", *"absent", "enter")
        await settle(pilot)
        assert "not found" in screen_text(app)


async def test_builder_keeps_comments_and_shows_faults_beside_their_values(make_app: Make) -> None:
    app = make_app(opened=Path("protocols/mine.toml"))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, BuilderScreen)
        assert screen.document.text() == PROTOCOL
        screen.document.set("train.epochs", 0)
        screen.changed()
        await settle(pilot)
        text = screen_text(app)
        assert "train.epochs: must be a whole number" in text
        await pilot.press("ctrl+r")
        await settle(pilot)
        assert isinstance(app.screen, BuilderScreen), "a faulty protocol is not run"
        await pilot.press("u")
        await settle(pilot)
        assert screen.document.text() == PROTOCOL
        await pilot.press("space", "c", "R")
        await settle(pilot)
        await pilot.press("5", "enter")
        await settle(pilot)
        assert screen.document.arms[1]["replicas"] == 5
        await pilot.press("tab", "j", "enter")
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        await pilot.press("q", "n")
        await settle(pilot)
        assert isinstance(app.screen, BuilderScreen), "unsaved changes are not left by accident"
        await pilot.press("q", "y")
        await settle(pilot)
        assert isinstance(app.screen, StartScreen)
    assert Path("protocols/mine.toml").read_text() == PROTOCOL


async def test_study_is_deleted_only_by_its_name(make_app: Make, store: Path) -> None:
    paths = write_study(store / "old", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("d", *"odl", "enter")
        await settle(pilot)
        assert paths.folder.is_dir()
        await pilot.press("backspace", "backspace", *"ld", "enter")
        await settle(pilot)
        assert not paths.folder.exists()


async def test_damaged_study_is_listed_and_opened_as_what_it_is(make_app: Make, store: Path) -> None:
    make_folder(store / "torn")
    (store / "torn" / "plan.json").write_text('{"v": 1, "stu')
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "damaged" in screen_text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert screen_text(app).splitlines()[0].split() == ["torn", "✗", "cannot", "be", "read"]
        await pilot.press("r")
        await settle(pilot)
        said = re.sub(r"\s+", " ", screen_text(app))
        assert "torn/plan.json: " in said
        assert "run the protocol again to write it anew" in said


async def test_filter_narrows_the_list(make_app: Make, store: Path) -> None:
    write_study(store / "alpha")
    write_study(store / "beta")
    app = make_app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"alph", "enter")
        await settle(pilot)
        text = screen_text(app)
        assert "alpha" in text
        assert "beta " not in text
        await pilot.press("escape")
        await settle(pilot)
        assert "beta " in screen_text(app)


async def test_help_and_palette_name_every_action(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await settle(pilot)
        described = {b.binding.description for b in app.screen.active_bindings.values() if b.binding.description}
        commands = {offer.text for offer in Offers(app.screen).iterate_actions()}
        assert {"Results", "Log axis", "Cancel study", "Hold view"} <= described & commands
        await pilot.press("question_mark")
        await settle(pilot)
        assert isinstance(app.screen, Help)
        text = "\n".join(line.text.plain for line in app.screen.query_one(LinesView).lines)
        second = {"Epoch on", "More epochs", "More values"}
        assert {what for what in described if what not in text} == second, "keys that the one of a pair speaks for"


async def test_long_text_is_saved_where_the_terminal_would_lose_it(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        app.copy("x" * 10_000, "long.md")
        await settle(pilot)
        assert (tmp_path / "s" / "copies" / "long.md").read_text() == "x" * 10_000
        assert "too long to copy" in screen_text(app)


async def test_end_of_a_study_is_told_once(make_app: Make, store: Path, monkeypatch: Any) -> None:
    paths = write_study(store / "live", done=2, running=1)
    app = make_app(opened=paths.folder)
    written: list[str] = []
    monkeypatch.setattr(app, "write_sequence", written.append)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert written == []
        write_study(store / "live", done=3, running=0)
        paths.supervisor.unlink()
        await pilot.pause(1.0)
        await settle(pilot)
        assert len(written) == 1
        assert written[0].startswith("\x1b]9;nondet-tui: live: 9 of 9 runs")


@pytest.mark.slow
async def test_no_size_raises_an_exception(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live", replicas=4, failed=1, epochs=12)
    rng = random.Random(7)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        for number in range(250):
            # Without a wait in between: sizes come as fast as a window is dragged.
            size = Size(rng.randint(1, 140), rng.randint(1, 45))
            app.post_message(events.Resize(size, size))
            if number % 5 == 0:
                await pilot.pause()
            if number % 50 == 0:
                await pilot.resize_terminal(120, 40)
                if number in (50, 100):
                    app.open_results(paths)
                if number == 150:
                    app.open_builder(Path("protocols/mine.toml"))
                if number == 200:
                    app.open_monitor(paths)
                await pilot.pause()
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert isinstance(app.screen, TooSmall)
        assert "too small" in screen_text(app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert isinstance(app.screen, MonitorScreen)


async def test_screen_is_saved_as_a_picture(make_app: Make, store: Path) -> None:
    app = make_app()
    write_study(store / "alpha")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("f12")
        await settle(pilot)
        (picture,) = app.locations.copies.glob("*.svg")
        drawn = picture.read_text(encoding="utf-8")
        assert "alpha" in drawn
        assert set(re.findall(r"https?://[^\s\"'<]+", drawn)) <= {
            "http://www.w3.org/2000/svg",
            "https://www.textualize.io",
        }
        assert "url(http" not in drawn.replace('"', "")
        assert drawn.count("<text ") == drawn.count('<text xml:space="preserve" '), "or blanks at an edge are lost"
        assert "saved" in screen_text(app)
