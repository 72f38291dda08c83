"""Cells of the table: points below each other, columns of one width, names folded; nothing of a figure is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.measures import make_measures
from tui.text.cells import align, align_points, fold, make_cells
from tui.text.format import ASCII
from tui.text.tables import make_columns

numbers = st.decimals(min_value=-9999, max_value=9999, places=3).map(lambda one: f"{one:f}".rstrip("0").rstrip("."))


@given(st.lists(numbers | st.just("–"), min_size=1, max_size=8))
def test_points_stand_below_each_other_and_no_figure_changes(figures: list[str]) -> None:
    aligned = align_points(figures)
    assert [text.strip() for text in aligned] == figures
    assert len({len(text) for text in aligned}) == 1
    ends = {len(text.split(".")[0].rstrip()) for text in aligned if any(char.isdigit() for char in text)}
    assert len(ends) <= 1, "digits before the point end in one column"


def test_errors_and_intervals_stand_below_each_other() -> None:
    found = align(["0.59 ± 0.07 [0.4 0.8]", "12.5 ± 1.25 [11 14] *", "3"])
    assert found == [" 0.59 ± 0.07 [0.4 0.8]  ", "12.5  ± 1.25 [11 14]   *", " 3                      "]
    assert align(["a b c", "1"]) == ["a b c", "1"], "what is no figure is left as it is"


def test_name_is_folded_between_words_and_cut_only_where_no_line_has_room() -> None:
    assert fold("Parameter Initialization", 40, 2) == ["  Parameter Initialization"], "with room for the mark"
    lines = fold("Parameter Initialization", 16, 2)
    assert [line.split() for line in lines] == [["Parameter"], ["Initialization"]]
    assert all(len(line) <= 16 for line in lines)
    assert fold("Parameter Initialization", 10, 1, ASCII)[0].endswith("...")
    assert fold("Data shuffling + Floating-point order", 14, 2)[1].startswith("  Fl"), "what is cut stays in line"
    assert fold("Parameter Initialization", 14, 2)[1] == "Initialization", "a word is whole where it can be"


def test_table_fits_every_width_from_its_least_on_and_keeps_the_arms() -> None:
    arms = [
        make_measures(
            name=name, n=8, accuracy_mean=96.5, accuracy_sd=0.7, accuracy_sd_error=0.1, accuracy_sd_ci=[0.5, 1]
        )
        for name in ("Control", "Parameter Initialization and Data shuffling")
    ]
    columns = make_columns()
    tables = {width: make_cells(list(enumerate(arms)), columns, width=width, height=40) for width in range(70, 220, 7)}
    for width, table in tables.items():
        assert table.width <= width
        assert [row.arm for row in table.rows] == [arm.name for arm in arms]
        for row in table.rows:
            for cell, title in zip(row.cells, table.titles, strict=True):
                room = len(title.split("\n")[0])
                assert all(len(line) <= room for line in cell.split("\n"))
    assert tables[70].width < tables[217].width
    assert any("[0.50 1.00]" in " ".join(row.cells) or "[0.5 1.0]" in " ".join(row.cells) for row in tables[217].rows)
