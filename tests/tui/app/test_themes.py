"""What stays legible under every theme."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from tests.helpers.screens import Make, settle
from tests.helpers.studies import write_study
from tui.app.screens.dialogs import Prompt
from tui.app.screens.results_answer import AnswerList
from tui.app.screens.results_table import MeasureTable
from tui.app.settings import Settings


async def test_figure_under_the_cursor_is_legible_in_sixteen_colours(make_app: Make, store: Path) -> None:
    app = make_app(settings=Settings(theme="ansi"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_results(write_study(store / "alpha", done=3, running=0))
        await settle(pilot)
        cursor = app.screen.query_one("#measures", MeasureTable).get_component_rich_style("datatable--cursor")
        assert cursor.reverse
        colours = [None if one is None else one.name for one in (cursor.color, cursor.bgcolor)]
        assert colours == ["default", "default"], "reversed, the terminal's own two are apart on every ground"


@pytest.mark.slow
async def test_line_under_the_cursor_is_one_bar_in_sixteen_colours(make_app: Make, store: Path) -> None:
    app = make_app(settings=Settings(theme="ansi"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_results(write_study(store / "alpha", done=3, running=0))
        await settle(pilot)
        view = app.screen.query_one(AnswerList)
        under = [one.style for one in view.render_line(0) if one.style is not None]
        assert all(style.reverse and style.color is not None and style.color.name == "default" for style in under)
        colours = {one.style.color.name for one in view.render_line(2) if one.style is not None and one.style.color}
        assert colours - {"default"}, "names of arms keep their colours on other lines"


@pytest.mark.parametrize("theme", ["dark", "light", "contrast", "ansi"])
async def test_field_is_one_row_that_stands_out(make_app: Make, theme: str) -> None:
    app = make_app(settings=Settings(theme=theme))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(Prompt("A question", "an answer"))
        await settle(pilot)
        field = app.screen.query_one(Input)
        assert field.outer_size.height == 1
        assert field.background_colors[1] != app.screen.query_one(".dialog").background_colors[1]
