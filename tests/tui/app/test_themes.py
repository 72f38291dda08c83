"""What stays legible under every theme."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.screens import Make, settle
from tests.helpers.studies import write_study
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
