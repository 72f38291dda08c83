"""Over a slow line the bytes of a look count: the terminal is sent the rows that differ, and each of them once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region
from textual.widget import Widget

from engine.study.epochs import append_epoch
from engine.study.paths import StudyPaths
from tests.helpers.records import make_epoch
from tests.helpers.screens import Make, settle
from tests.helpers.studies import write_study
from tui.app.machine import Machine
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.monitor_panes import NowList, Readout
from tui.app.screens.monitor_plots import ArmPlot


def note_rows(widget: Widget, monkeypatch: Any) -> set[int]:
    """Has a widget note the rows that it sends again; all of them where it names none."""
    rows: set[int] = set()
    original = widget.refresh

    def refresh(*regions: Region, **options: Any) -> Widget:
        for region in regions or (widget.size.region,):
            rows.update(region.line_range)
        return original(*regions, **options)

    monkeypatch.setattr(widget, "refresh", refresh)
    return rows


def add_epoch(paths: StudyPaths, epoch: int, accuracy: float) -> None:
    """Let every running replica end one more epoch."""
    for file in paths.runs.glob("*/attempts/01/epochs.jsonl"):
        if not (file.parents[2] / "result.json").exists():
            append_epoch(file, make_epoch(epoch, test_accuracy=accuracy))


async def open_monitor(app: Any, pilot: Any) -> MonitorScreen:
    await settle(pilot)
    screen = app.screen
    assert isinstance(screen, MonitorScreen)
    screen.held = True  # the clock looks at nothing meanwhile
    return screen


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [86.0, 10.0])
async def test_plot_sends_the_rows_that_differ(make_app: Make, store: Path, monkeypatch: Any, accuracy: float) -> None:
    paths = write_study(store / "s", done=2, running=1, epochs=8)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_monitor(app, pilot)
        plot = screen.query_one(ArmPlot)
        before = [plot.render_line(y).text for y in range(plot.size.height)]
        sent = note_rows(plot, monkeypatch)
        add_epoch(paths, 5, accuracy)
        screen.reading.ask()
        await settle(pilot)
        after = [plot.render_line(y).text for y in range(plot.size.height)]
        differ = {y for y, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
        assert differ
        assert differ <= sent
        assert len(sent) < plot.size.height, "axes, labels and what lies elsewhere stay"


@pytest.mark.slow
async def test_lists_send_the_rows_that_differ(make_app: Make, store: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(Machine, "look", lambda self: ())  # on a busy machine it moves every row
    paths = write_study(store / "s")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_monitor(app, pilot)
        runs = screen.query_one(NowList)
        training = {number for number, line in enumerate(runs.lines) if " 4/8 " in line.text.plain}
        assert len(training) == 3
        sent = note_rows(runs, monkeypatch)
        add_epoch(paths, 5, 90.0)
        screen.reading.ask()
        await settle(pilot)
        assert sent == training


@pytest.mark.slow
async def test_cursor_is_on_one_line_wherever_it_moves(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "s").folder)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_monitor(app, pilot)
        arms = screen.query_one("#arms")
        for row, keys in ((2, ()), (1, ("k",)), (2, ("j",))):
            await pilot.press(*keys)
            await settle(pilot)
            shown = [arms.render_lines(Region(0, y, 40, 1))[0] for y in range(5)]
            grounds = [{s.style.bgcolor for s in strip if s.style is not None} for strip in shown]
            marked = [y for y, found in enumerate(grounds) if len(found - grounds[1]) > 0 and 0 < y < 4]
            assert marked == [row + 1], "below the border"


async def test_readout_is_never_drawn_at_an_epoch_that_has_passed(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=0, running=2, epochs=8)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_monitor(app, pilot)
        readout = screen.query_one(Readout)
        assert readout.make_text().plain.startswith(" epoch 4 ")
        add_epoch(paths, 5, 90.0)
        assert screen._follower is not None
        screen.picture = screen._follower.look()
        assert readout.shown is not None
        assert readout.shown.plain.startswith(" epoch 5 "), "at once, before anything is sent"
