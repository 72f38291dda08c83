"""What the mouse explains and what `e` explains: the same text, of every measure, every source and every word."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from rich.text import Text
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Tooltip

from engine.catalog.measures import MEASURES
from engine.catalog.sources import SOURCES
from tests.helpers.screens import Make, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.screens.builder_panes import ArmTable, SettingTable
from tui.app.screens.dialogs import Card
from tui.app.screens.monitor_panes import ArmList, NowList
from tui.app.screens.results_table import MeasureTable
from tui.app.screens.start_panes import ChoiceList
from tui.app.widgets.explained import Explained
from tui.app.widgets.lines import LinesView
from tui.text.explanations import META, find_explanation, list_keys, name_measure, style_key

ROOMY = (120, 40)


def read(parts: list[RenderableType] | RenderableType, width: int = 62) -> str:
    """What is printed, without line ends."""
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(*(parts if isinstance(parts, list) else [parts]))
    return " ".join(captured.get().split())


def find_style(widget: Widget, key: str) -> Offset:
    """The first character of a widget whose style holds a key, below the mouse."""
    for y in range(widget.size.height):
        x = 0
        for segment in widget.render_line(y):
            if segment.style is not None and segment.style.meta.get(META) == key:
                return Offset(x, y) + widget.content_offset
            x += segment.cell_length
    raise AssertionError(f"nothing is about {key}")


async def hover(pilot: Pilot[None], widget: Widget, offset: Offset) -> str:
    """What the tooltip says of a place, once the mouse has rested there."""
    pilot.app.TOOLTIP_DELAY = 0.001
    tooltip = pilot.app.screen.query_one(Tooltip)
    for _ in range(2):  # the first move may hide what the tooltip says of another place
        await pilot.hover(widget, offset)
        await pilot.pause(0.02)
        if tooltip.display == (widget.tooltip is not None):
            break
    assert tooltip.display == (widget.tooltip is not None)
    return "" if widget.tooltip is None else read(widget.tooltip)  # pyright: ignore[reportArgumentType]


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def read_card(app: NondetApp) -> str:
    """What the card says that `e` opened."""
    assert isinstance(app.screen, Card)
    return read(list(app.screen.parts))


@pytest.mark.slow
async def test_tooltip_of_each_column_of_the_results_says_what_e_says(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=ROOMY, tooltips=True) as pilot:
        await settle(pilot)
        app.open_results(write_study(store / "live", done=3, running=0))
        await settle(pilot)
        await press(pilot, "2")
        table = app.screen.query_one("#measures", MeasureTable)
        assert table.table is not None
        texts: list[str] = []
        for place, column in enumerate(table.table.columns, start=2):
            region = table._get_column_region(place)
            texts.append(await hover(pilot, table, Offset(region.x + region.width - 1, 1)))
            assert column.measure.formula in texts[-1]
            table.move_cursor(row=1, column=place)
            await press(pilot, "e")
            assert read_card(app) == texts[-1]
            await press(pilot, "escape")
        assert len(set(texts)) == len(table.table.columns) > 4


@pytest.mark.slow
async def test_tooltip_of_each_source_in_each_arm_says_what_e_says(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=ROOMY, tooltips=True) as pilot:
        await settle(pilot)
        app.open_builder(Path("protocols/mine.toml"))
        await settle(pilot)
        arms = app.screen.query_one(ArmTable)
        for number, (name, source) in enumerate(SOURCES.items()):
            said = await hover(pilot, arms, find_style(arms, f"cell:0:{name}"))
            assert source.meaning in said
            app.screen.action_column(number - app.screen.column)  # pyright: ignore[reportAttributeAccessIssue]
            await press(pilot, "e")
            assert read_card(app) == said
            await press(pilot, "escape")
            head = await hover(pilot, arms, find_style(arms, f"source:{name}"))
            assert source.meaning in head
            assert source.held in head
        settings = app.screen.query_one(SettingTable)
        await press(pilot, "tab", "j", "j")
        assert settings.key is not None
        said = await hover(pilot, settings, find_style(settings, f"setting:{settings.key}"))
        assert said.startswith(settings.key)
        await press(pilot, "e")
        assert read_card(app) == said


@pytest.mark.slow
async def test_marks_words_and_heads_are_explained_by_both(make_app: Make, store: Path) -> None:
    app = make_app()
    paths = write_study(store / "live", done=2, running=1, failed=1, replicas=4)
    async with app.run_test(size=ROOMY, tooltips=True) as pilot:
        await settle(pilot)
        choices = app.screen.query_one(ChoiceList)
        for key in ("study:live", "fold:yours"):
            said = await hover(pilot, choices, find_style(choices, f"line:{key}"))
            choices.move_to(key)
            await press(pilot, "e")
            assert read_card(app) == said
            assert said
            await press(pilot, "escape")
        app.open_monitor(paths)
        await settle(pilot)
        arms, runs = app.screen.query_one(ArmList), app.screen.query_one(NowList)
        heads = [key for key in arms.list_explained() if key.startswith("measure:")]
        said_of = {key: await hover(pilot, arms, find_style(arms, key)) for key in (*heads, "runs")}
        await press(pilot, "e")
        card = read_card(app)
        assert len(heads) == 2
        assert all(said and said in card for said in said_of.values())
        await press(pilot, "escape")
        for state in ("done", "running", "failed"):
            said = await hover(pilot, runs, find_style(runs, f"run:{state}"))
            assert said.startswith(f"a run that is {state}")
        assert (await hover(pilot, arms, Offset(5, 0))).startswith("├─●─┤"), "the title of a box"


async def test_small_terminal_has_no_tooltips_and_e_explains(make_app: Make, store: Path) -> None:
    app = make_app()
    write_study(store / "live")
    async with app.run_test(size=(80, 24), tooltips=True) as pilot:
        await settle(pilot)
        choices = app.screen.query_one(ChoiceList)
        assert not await hover(pilot, choices, find_style(choices, "line:study:live"))
        await press(pilot, "e")
        await settle(pilot)
        assert "a study that is running" in screen_text(app), screen_text(app)


@pytest.mark.slow
async def test_resting_mouse_leaves_no_clock_behind(make_app: Make, store: Path) -> None:
    app = make_app()
    write_study(store / "live")
    async with app.run_test(size=ROOMY, tooltips=True) as pilot:
        await settle(pilot)
        before = list_clocks(app)
        choices = app.screen.query_one(ChoiceList)
        assert await hover(pilot, choices, find_style(choices, "line:study:live"))
        await pilot.pause(0.05)
        assert list_clocks(app) == before


def list_clocks(app: NondetApp) -> set[Timer]:
    """What strikes again and again."""
    return {timer for timer in (*app.screen._timers, *app._timers) if timer._repeat != 0}


@pytest.mark.parametrize("key", [f"source:{name}" for name in SOURCES] + [
    name_measure(measure) for group in MEASURES.values() for measure in group
])  # fmt: skip
def test_every_measure_and_source_is_found_by_its_key(key: str) -> None:
    found = find_explanation(key)
    assert found is not None
    assert list_keys(Text("x", style_key(key))) == [key]


async def test_figures_behind_a_study_are_said_to_be_of_one_arm(make_app: Make, store: Path) -> None:
    write_study(store / "s", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "disagree  3.10 %" in screen_text(app)
        await press(pilot, "e")
        said = " ".join(screen_text(app).replace("│", " ").split())
        assert "figures SD and disagreement are of [red]all[/]" in said


def test_key_of_nothing_explains_nothing() -> None:
    assert find_explanation("measure:images:nothing") is None
    assert find_explanation("nothing") is None


def test_pane_without_anything_to_explain_offers_nothing() -> None:
    assert not Explained().list_explained()
    assert LinesView().check_action("choose", ())
