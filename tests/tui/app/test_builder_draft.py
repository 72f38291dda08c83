"""The builder's draft: timed in the background, undone and redone, saved where it says, run after a question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from tests.helpers.screens import Make, read_notices, screen_text, settle
from tests.helpers.studies import write_study
from tests.tui.app.test_builder import FILE, footer, open_builder, press, screen_of
from tests.tui.app.test_estimate import make_facts
from tui.app.estimate import Timing, list_workloads
from tui.app.preview import preview_plan
from tui.app.previewed import ProtocolPreview
from tui.app.screens.builder_panes import ArmTable
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Confirm, Prompt
from tui.app.screens.draft import describe_file
from tui.app.screens.text_edit import TextEdit


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What was timed, and whether a person asked for it; nothing is trained."""
    asked: list[bool] = []

    def pretend(protocol: Protocol, plan: Plan, store: Path, *, choose: bool) -> Timing:
        asked.append(choose)
        return Timing(MappingProxyType({load: make_facts("linear", 2.0) for load in list_workloads(plan)}))

    monkeypatch.setattr("tui.app.screens.draft.time_plan", pretend)
    monkeypatch.setattr("tui.app.screens.draft.TIMING_DELAY_S", 0.05)
    return asked


async def wait_for(pilot: Any, app: Any, needle: str) -> str:
    for _ in range(100):
        await settle(pilot)
        if needle in screen_text(app):
            break
        await pilot.pause(0.02)
    return screen_text(app)


@pytest.mark.slow
async def test_time_is_estimated_unasked_and_stays_in_sight(make_app: Make, timed: list[bool]) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        text = await wait_for(pilot, app, "about ")
        assert "about " in text.splitlines()[0]
        assert "━━━━━━━━" in text, "and as a bar"
        assert timed == [False]
        await press(pilot, "R", *"200", "enter")
        assert "about 27 min" in (await wait_for(pilot, app, " min")).splitlines()[0], (
            "other replicas are no other epoch"
        )
        assert timed == [False]


@pytest.mark.slow
async def test_nothing_is_timed_where_nothing_may_be_started(make_app: Make, timed: list[bool], store: Path) -> None:
    app = make_app(opened=FILE, readonly=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for(pilot, app, "Plan")
        await pilot.pause(0.2)
        await press(pilot, "t")
        assert "read only" in read_notices(app)
        assert "read only: nothing is timed" in screen_text(app)
    assert timed == []


@pytest.mark.slow
async def test_own_code_is_timed_only_when_that_is_asked_for(make_app: Make, timed: list[bool], store: Path) -> None:
    (FILE.parent / "nets.py").write_text("raise SystemExit('nothing here may be imported')")
    FILE.write_text(FILE.read_text().replace('preset = "linear"', 'target = "nets:make"'))
    app = make_app(opened=FILE)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        text = await wait_for(pilot, app, "runs your code")
        await pilot.pause(0.2)
        assert timed == []
        assert "t trains for a second per workload, which runs your code (nets:make)" in text
        await press(pilot, "t")
        assert "runs your code: nets:make" in read_notices(app)
        await wait_for(pilot, app, ", about ")
        assert timed == [True]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_undo_and_redo_go_both_ways_with_the_cursor(make_app: Make, size: tuple[int, int]) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        first = screen_of(app).document.text()
        await press(pilot, "j", "alt+1", "d", "a", "alt+2")
        last, names = screen_of(app).document.text(), screen_of(app).document.names
        for _ in range(4):
            await press(pilot, "u")
        assert (screen_of(app).document.text(), screen_of(app).arm) == (first, 1)
        await press(pilot, "u")
        assert "nothing to take back" in read_notices(app)
        for _ in range(4):
            await press(pilot, "U")
        assert (screen_of(app).document.text(), screen_of(app).document.names) == (last, names)
        assert screen_of(app).arm == len(names) - 1
        await press(pilot, "U")
        assert "nothing was taken back" in read_notices(app)


@pytest.mark.slow
async def test_question_that_is_left_changes_nothing_and_a_same_answer_is_no_step(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        before = screen_of(app).document.text()
        for key in ("T", "M", "D", "E", "X", "o", "A", "R", "enter"):
            await press(pilot, key)
            assert isinstance(app.screen, Choose | Prompt), key
            await press(pilot, "escape")
            assert screen_of(app).document.text() == before
        await press(pilot, "R", "enter")
        assert screen_of(app).history.made == []


@pytest.mark.slow
async def test_the_foot_shows_what_matters_most_at_80_columns(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        keys = ("space Toggle", "a Add arm", "^r Run", "^s Save", "u Undo", "? Help")
        assert [key for key in keys if key not in footer(app)] == []


@pytest.mark.slow
async def test_save_names_the_folder_and_what_it_makes_or_replaces(make_app: Make, tmp_path: Path) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+s")
        assert f"saved {tmp_path}/protocols/mine.toml" in read_notices(app)
        await press(pilot, "ctrl+o")
        assert isinstance(app.screen, Prompt)
        assert describe_file("protocols/mine.toml") == f"replaces {tmp_path}/protocols/mine.toml"
        assert "replaces" in screen_text(app)
        await press(pilot, "ctrl+u", *"new/other", "enter")
        assert "let its name end in .toml" in screen_text(app)
        await press(pilot, *".toml")
        assert describe_file("new/other.toml") == f"into {tmp_path}/new, a folder that is made for it"
        assert "for it" in screen_text(app)
        await press(pilot, "enter")
        assert (tmp_path / "new" / "other.toml").read_text() == FILE.read_text()
        assert "new/other.toml" in screen_text(app).splitlines()[0]


@pytest.mark.slow
async def test_run_asks_with_runs_time_data_and_place(make_app: Make, timed: list[bool], store: Path) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for(pilot, app, "about ")
        await press(pilot, "ctrl+r")
        assert isinstance(app.screen, Confirm)
        said = app.screen.question
        assert "Train " in said
        assert " runs of 4 epochs" in said
        assert "slot" in said
        assert "about " in said, "the time that was estimated here"
        assert "its data are there" in said
        assert f"into {store}" in said
        await press(pilot, "n")
        assert not store.exists()


@pytest.mark.slow
async def test_runs_are_counted_anew_after_another_screen(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    done = [1]

    def count(protocol: Protocol, plan: Plan, place: Path) -> ProtocolPreview:
        return replace(preview_plan(protocol, plan, place), finished=frozenset(list(plan.recipes)[: done[0]]))

    monkeypatch.setattr("tui.app.screens.draft.preview_plan", count)
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "1 already done" in screen_text(app)
        done[0] = 2
        app.open_monitor(write_study(store / "s"))
        await settle(pilot)
        await press(pilot, "escape")
        assert "2 already done" in await wait_for(pilot, app, "2 already done")


@pytest.mark.slow
async def test_run_refuses_with_words_while_data_are_missing(make_app: Make, tmp_path: Path) -> None:
    text = FILE.read_text().replace('preset = "digits"', 'preset = "ptb"\nroot = "nowhere"')
    FILE.write_text(text.replace('preset = "linear"', 'preset = "qrnn"'))
    app = make_app(opened=FILE)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        title = screen_text(app).splitlines()[0]
        assert "but its data are missing" in title
        assert "put its files there" in " ".join(screen_text(app).replace("│", " ").split()), "it stays on the screen"
        await press(pilot, "ctrl+r")
        assert "cannot be trained yet:\n" in read_notices(app)
        assert screen_of(app) is app.screen


@pytest.mark.slow
async def test_settings_are_filtered_and_shown_in_full(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 49), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        assert "momentum" not in screen_text(app), "the arms have no filter"
        await press(pilot, "tab")
        assert "momentum" not in screen_text(app)
        await press(pilot, "plus")
        assert "momentum" in screen_text(app)
        assert "bptt" not in screen_text(app)
        await press(pilot, "slash", *"wghtdc")
        assert "weight_decay" in screen_text(app)
        assert "momentum" not in screen_text(app)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, Prompt)
        await press(pilot, "escape", "escape")
        assert "momentum" in screen_text(app), "Esc shows them all again before it leaves"
        await press(pilot, "plus")
        assert "momentum" not in screen_text(app)


@pytest.mark.slow
async def test_all_settings_are_listed_where_there_is_room_until_a_key_says_otherwise(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await settle(pilot)
        assert "momentum" in screen_text(app)
        await press(pilot, "2", "plus")
        assert "momentum" not in screen_text(app)


@pytest.mark.slow
async def test_a_click_switches_the_mark_it_is_on(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        table = app.screen.query_one(ArmTable)
        head = table.lines[0].text.plain
        await pilot.click(table, offset=(1 + head.index("bit") + 1, 3))
        await settle(pilot)
        assert (screen_of(app).arm, screen_of(app).column) == (1, 5)
        assert screen_of(app).document.names[1] == "Control"
        await pilot.click(table, offset=(1 + head.index("bit") + 1, 3))
        await settle(pilot)
        assert screen_of(app).document.names[1] == "Random Bit Change"


@pytest.mark.slow
async def test_the_pane_at_the_right_explains_what_the_cursor_is_on(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "init: Parameter Initialization" in screen_text(app)
        await press(pilot, "right")
        assert "shuffle: Data shuffling" in screen_text(app)
        await press(pilot, "tab", "j")
        assert "Sets how many replicas" in screen_text(app)
        assert "each replica more adds 3" in " ".join(screen_text(app).replace("│", " ").split())
        await press(pilot, "shift+tab")
        assert "shuffle: Data shuffling" in screen_text(app)


@pytest.mark.slow
async def test_the_toml_itself_can_be_changed_and_that_taken_back(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        before = screen_of(app).document.text()
        await press(pilot, "v", "enter")
        assert isinstance(app.screen, TextEdit)
        await press(pilot, "[", "ctrl+s")
        assert isinstance(app.screen, TextEdit), "what is no TOML is not taken over"
        assert "not valid TOML" in screen_text(app)
        assert "line 1" in screen_text(app)
        await press(pilot, "backspace", "#", "ctrl+s")
        assert screen_of(app).document.text() == f"#{before}"
        await press(pilot, "u")
        assert screen_of(app).document.text() == before
        await press(pilot, "enter", "x", "escape")
        assert isinstance(app.screen, Confirm), "what was typed is not lost by accident"
        await press(pilot, "y")
        assert screen_of(app).document.text() == before
