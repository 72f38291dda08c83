"""The parts of the screens: they draw what they are bound to, when it changes, and tell apart what differs."""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.screens import SIZES, screen_text, settle
from tests.helpers.studies import read_requests, write_study
from tui.app.app import NondetApp
from tui.app.follow import Follower
from tui.app.messages import OpenBuilder, OpenMonitor, OpenResults
from tui.app.schemes import GROUNDS, SCHEMES, arm_style, choose_theme, next_theme
from tui.app.screens.choosing import Choose
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.monitor_layout import NARROW_COLUMNS
from tui.app.screens.monitor_lines import arm_lines, now_lines
from tui.app.screens.monitor_panes import ArmList, NowList
from tui.app.screens.monitor_plots import SpreadPlot

Make = Callable[..., NondetApp]
ALIKE = {"Linear model of pixels: Parameter Init.": ["init"], "Linear model of pixels: Random Bit Change": ["bit"]}


def count_redraws(monkeypatch: Any) -> list[str]:
    """Has the list of arms note each time that it makes its lines."""
    made: list[str] = []
    original = ArmList.make_lines
    monkeypatch.setattr(ArmList, "make_lines", lambda self, width: made.append("") or original(self, width))
    return made


@pytest.mark.parametrize("size", SIZES)
async def test_arms_whose_names_begin_alike_are_told_apart(make_app: Make, store: Path, size: tuple[int, int]) -> None:
    app = make_app(opened=write_study(store / "s", arms=ALIKE, replicas=4).folder)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        rows = screen_text(app).splitlines()
        legend = [curve.label.rpartition(" ")[0].strip() for curve in app.screen.query_one(SpreadPlot).curves]
        assert all(any(label in row for row in rows) for label in legend)
        table = [row.strip("│").split("  ")[0] for row in rows if "2/4" in row]
        assert len(legend) == len(set(legend)) == 2
        assert len(table) == len(set(table)) == 2
        if size == (80, 24):
            await pilot.press("tab")
            await settle(pilot)
        marks = [row.split("✓✓●◌")[0].split("│")[-1] for row in screen_text(app).splitlines() if "✓✓●◌" in row]
        assert len(marks) == len(set(marks)) == 2


@pytest.mark.slow
async def test_part_is_made_anew_only_when_what_it_shows_has_changed(
    make_app: Make, store: Path, monkeypatch: Any
) -> None:
    paths = write_study(store / "s")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, MonitorScreen)
        made = count_redraws(monkeypatch)
        await pilot.press("s", "L", "left_square_bracket")
        screen.reading.ask()
        await settle(pilot)
        assert made == [], "the list shows none of that, and the study is what it was"
        await pilot.press("a")
        assert len(made) == 1
        write_study(store / "s", done=3, running=0)
        screen.reading.ask()
        await settle(pilot)
        assert 2 <= len(made) <= 3, "once more where the lists get another height"
        assert "9 of 9 runs" in screen_text(app)


@pytest.mark.slow
async def test_another_theme_has_its_own_colours_at_once(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "s").folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        for theme in [*list(GROUNDS)[1:], next(iter(GROUNDS))]:
            await pilot.press("ctrl+t")
            assert app.theme == theme
            first = app.screen.query_one(ArmList).lines[1].text
            assert arm_style(0, theme) in [span.style for span in first.spans]


async def test_every_look_is_a_theme_of_the_framework(make_app: Make) -> None:
    assert set(GROUNDS) <= set(make_app().available_themes)
    assert choose_theme("auto", few_colours=True) == SCHEMES["ansi"].theme
    assert choose_theme("auto", few_colours=False) == SCHEMES["dark"].theme
    assert choose_theme("light", few_colours=True) == SCHEMES["light"].theme
    assert next_theme("of a user's own") == SCHEMES["dark"].theme


async def test_start_counts_in_words_and_names_the_store_without_detours(make_app: Make, store: Path) -> None:
    write_study(store / "one")
    app = make_app(store=os.path.relpath(store / ".." / "studies"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "1 study, 1 running   1 protocol" in screen_text(app)
    app = make_app(store=f"{store}/absent/../../studies")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "1 study" in screen_text(app)
        assert ".." not in screen_text(app)
        assert str(store)[-40:] in screen_text(app)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "keys"),
    [
        ("tui.app.screens.dialogs.read_quietly", ("enter", "enter", "enter")),
        ("tui.app.screens.results_compare.list_candidates", ("r", "c")),
        ("tui.app.screens.compare_data.compare_pair", ("r", "c")),
        ("tui.app.screens.results_origin.read_origin", ("r", "9")),
        ("tui.app.screens.draft.judge", ("escape", "j", "j", "enter")),
    ],
)
async def test_files_are_read_beside_the_event_loop(
    make_app: Make, store: Path, monkeypatch: Any, read: str, keys: tuple[str, ...]
) -> None:
    module, _, name = read.rpartition(".")
    original = getattr(importlib.import_module(module), name)
    threads: list[threading.Thread] = []
    monkeypatch.setattr(
        read, lambda *given, **named: threads.append(threading.current_thread()) or original(*given, **named)
    )
    app = make_app(opened=write_study(store / "s").folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.slow
@pytest.mark.parametrize("ended", [True, False])
async def test_what_has_ended_is_neither_paused_nor_cancelled(make_app: Make, store: Path, ended: bool) -> None:
    paths = write_study(store / "s", done=3 if ended else 2, running=0)
    if ended:
        paths.supervisor.unlink()
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        await pilot.press("p", "x")
        await settle(pilot)
        assert isinstance(app.screen, MonitorScreen) is ended, "x asks"
        assert bool(read_requests(paths)) is not ended
        if not ended:
            await pilot.press("n")
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("a")
        await settle(pilot)
        assert isinstance(app.screen, Choose) is not ended


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_names_are_cut_only_where_nothing_else_has_room(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    arms = {"Control": [], "Parameter Initialization": ["init"], "Random Bit Change": ["bit"]}
    app = make_app(opened=write_study(store / "s", arms=arms).folder)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        table = [line.text.plain for line in app.screen.query_one(ArmList).lines[1:]]
        marked = [f"{mark} {name}" for mark, name in zip("●▲■", arms, strict=True)]
        assert [re.split("  | ━", row)[0] for row in table] == marked
        if size[0] < 100:
            await pilot.press("tab")
            await settle(pilot)
        rows = [line.text.plain for line in app.screen.query_one(NowList).lines]
        for name in marked:
            assert any(row.startswith(f"{name} ") and row.endswith(" ✓✓●") for row in rows)
            assert any(f" {name[:8]}" in row and "4/8" in row for row in rows)
        legend = [curve.label.rpartition(" ")[0].strip() for curve in app.screen.query_one(SpreadPlot).curves]
        assert all(len(name) >= 7 for name in legend), "the table below has the whole name"


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("replicas", [3, 100])
def test_rows_of_arms_and_runs_fit_their_panes(store: Path, width: int, replicas: int) -> None:
    arms = {"Control": [], "A" * 64: ["init"]}
    picture = Follower(write_study(store / "s", arms=arms, replicas=replicas, done=2, running=1)).look()
    for pane in (width - 2, width * 2 // 3 - 2):
        lines = arm_lines(picture, hidden=(), width=pane, theme="dark")
        assert max(line.text.cell_len for line in lines) <= pane
    for pane in (width - 2, max(NARROW_COLUMNS, width) // 3 - 2):
        lines = now_lines(picture, [], width=pane, theme="dark")
        marks = [line.text.plain.split(" ")[-1] for line in lines if line.text.plain.endswith(("◌", "✓✓●"))]
        assert sum(map(len, marks)) == 2 * replicas
        assert max(line.text.cell_len for line in lines) <= pane


SHOWN = {
    "start": None,
    "builder": OpenBuilder(Path("protocols/mine.toml")),
    "monitor": OpenMonitor,
    "results": OpenResults,
}


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SHOWN)
async def test_no_key_is_cut_at_the_foot(make_app: Make, store: Path, name: str, width: int) -> None:
    paths, message = write_study(store / "s"), SHOWN[name]
    app = make_app()
    async with app.run_test(size=(width, 30)) as pilot:
        await settle(pilot)
        if message is not None:
            app.post_message(message if isinstance(message, OpenBuilder) else message(paths))
            await settle(pilot)
        *keys, help_key = app.screen.query("FooterKey")
        assert len(keys) > 4
        assert max(key.region.right for key in keys) <= help_key.region.x
        assert help_key.region.right <= width
