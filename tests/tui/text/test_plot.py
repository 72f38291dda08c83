"""The plot as text: golden pictures, invariants over any series and size, gaps, log scale, lines that meet."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.study.curves_record import SpreadCurve
from engine.study.epochs import EpochRecord
from engine.study.series import ArmSeries
from tests.helpers.effort import count_calls
from tests.helpers.measures import make_curves
from tui.text.format import ASCII, UNICODE, fit_name, mark_arm
from tui.text.plot import LABEL_COLUMNS, MARK_COLUMNS, REPLICA_DOTS, Cell, GlyphSet, draw_plot, to_text
from tui.text.scale import Scale, fit_scale
from tui.text.series import Curve, make_curve

values = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False))


def record(epoch: int, accuracy: float) -> EpochRecord:
    return EpochRecord(epoch=epoch, train_loss=0.0, test_accuracy=accuracy, test_cross_entropy=1.0, lr=0.1, seconds=1.0)


def test_golden_picture_in_ascii() -> None:
    middle = [0.0, 5.0, 10.0, 10.0]
    curve = Curve("a", 0, middle, [None] * 4, [(0, 0), (4, 6), (8, 10), (8, 10)], label="±1")
    text = to_text(draw_plot([curve], fit_scale([curve]), 34, 8, glyphs="ascii"))
    assert text.splitlines() == [
        "     10 +           ..oooooooo ±1",
        "        |        ..ooo........",
        "        |      .ooo..",
        "      5 +    .oo..",
        "        |  ooo.",
        "      0 +oo.",
        "        +-------+------------+",
        "                2            4",
    ]


@given(
    st.lists(st.lists(values, max_size=40), max_size=4),
    st.tuples(st.integers(0, 130), st.integers(0, 40)),
    st.sampled_from(["braille", "block", "ascii"]),
    st.booleans(),
    st.one_of(st.none(), st.integers(-3, 60)),
)
@settings(deadline=None, max_examples=150)
def test_any_series_in_any_size_is_a_full_picture(
    series: list[list[float | None]], size: tuple[int, int], glyphs: str, log: bool, cursor: int | None
) -> None:
    width, height = size
    bands = [[None if v is None else (v - 1, v + 2) for v in one] for one in series]
    curves = [Curve(str(n), n, one, bands[n], bands[n], [one], "±9.9") for n, one in enumerate(series)]
    picture = draw_plot(curves, fit_scale(curves, log=log), width, height, glyphs=glyphs, cursor=cursor)  # pyright: ignore[reportArgumentType]
    assert len(picture) == height
    assert all(len(row) == width for row in picture)
    assert all(len(cell.char) == 1 for row in picture for cell in row)
    if glyphs == "ascii":
        assert to_text(picture).replace("±", "").isascii()


def test_gap_is_not_bridged() -> None:
    whole = Curve("a", 0, [1.0] * 9)
    broken = Curve("a", 0, [1.0] * 3 + [None] * 3 + [1.0] * 3)
    count = [
        sum(cell.strong for row in draw_plot([c], fit_scale([whole]), 60, 10) for cell in row) for c in (whole, broken)
    ]
    assert count[1] < 0.65 * count[0]


def test_arm_keeps_its_colour_and_the_one_in_front_hides_others() -> None:
    flat = [Curve("a", 4, [1.0, 1.0]), Curve("b", 2, [1.0, 1.0])]
    for top in (2, 4):
        cells = [c for row in draw_plot(flat, Scale(1, 2, 0, 2), 40, 10, top=top) for c in row if c.strong]
        assert {cell.colour for cell in cells} == {top}
    equal = [c.colour for row in draw_plot(flat, Scale(1, 2, 0, 2), 40, 10) for c in row if c.strong]
    assert abs(equal.count(2) - equal.count(4)) <= 2, "in turn where none is in front"


GLYPHS: list[GlyphSet] = ["braille", "block", "ascii"]


def area(picture: list[list[Cell]], curves: list[Curve]) -> list[list[Cell]]:
    """What lies between the axes: without numbers, axes and labels."""
    right = max(len(curve.label) for curve in curves) + 2
    return [row[LABEL_COLUMNS + 1 : len(row) - right] for row in picture[:-2]]


def count_dots(cell: Cell) -> int:
    """Dots of a braille cell or halves of a block; a character of ASCII is one."""
    return {"▀": 1, "▄": 1, "█": 2, "o": 1, "^": 1}.get(cell.char) or (ord(cell.char) - 0x2800).bit_count()


@pytest.mark.parametrize("size", [(24, 6), (60, 11), (100, 20), (181, 44)])
@pytest.mark.parametrize("glyphs", GLYPHS)
@pytest.mark.parametrize("on_top", ["control", "rising arm"])
@pytest.mark.parametrize("exponent", [1, 2, 6])
def test_control_without_spread_colours_its_zero_line_alone(
    size: tuple[int, int], glyphs: GlyphSet, on_top: str, exponent: int
) -> None:
    """Another arm that rises from the same line must not make the control look as if it varied."""
    control = Curve("Control", 0, [0.0] * 30, label="±0")
    rising = Curve("Init", 1, [(epoch / 30) ** exponent for epoch in range(30)], label="±1")
    curves = [rising, control] if on_top == "control" else [control, rising]
    scale = fit_scale(curves)
    both = area(draw_plot(curves, scale, *size, glyphs=glyphs), curves)
    alone = area(draw_plot([control], scale, *size, glyphs=glyphs), curves)
    assert all(cell.colour != 0 for row in both[:-1] for cell in row)
    assert all(cell.colour == 0 for cell in alone[-1]), "a flat line fills its row"
    for cell, flat in zip(both[-1], alone[-1], strict=True):
        assert cell.colour == 1 or cell == flat, "what has the control's colour is its flat line and nothing more"
    taken = sum(cell.colour == 1 for cell in both[-1])
    assert taken < len(both[-1]), "where the arms lie together the control is not lost"


@pytest.mark.parametrize("glyphs", GLYPHS)
@pytest.mark.parametrize("top", [None, 0, 1, 2])
def test_arm_without_spread_has_no_cell_off_the_row_of_zeros(glyphs: GlyphSet, top: int | None) -> None:
    """On a logarithmic axis 0 has the row at the bottom, with its number; marks and cursors change nothing."""
    control = Curve("Control", 0, [0.0] * 30, label="0")
    late = Curve("Bit", 1, [*[0.0] * 4, *(0.01 * 1.3**epoch for epoch in range(26))], label="1")
    wild = Curve("Init", 2, [9.0 / epoch for epoch in range(1, 31)], label="2")
    curves = [control, late, wild]
    scale = fit_scale(curves, log=True)
    assert scale is not None
    picture = draw_plot(curves, scale, 90, 24, glyphs=glyphs, marks=True, top=top, cursor=9)
    inside = area(picture, curves)
    assert all(cell.colour != 0 for row in inside[:-1] for cell in row)
    assert any(cell.colour == 0 for cell in inside[-1])
    assert to_text(picture).splitlines()[len(inside) - 1].lstrip().startswith("0 ")
    assert {cell.colour for row in inside for cell in row if cell.colour is not None} == {0, 1, 2}


@given(
    st.lists(st.lists(st.floats(0, 10), min_size=2, max_size=12), min_size=1, max_size=5),
    st.sampled_from(GLYPHS),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_every_cell_shows_the_dots_of_its_owner_alone(
    series: list[list[float]], glyphs: GlyphSet, top: int | None, log: bool
) -> None:
    """The oracle is each line drawn alone: a cell is what it is there, for one of the arms that pass through."""
    lines = [Curve(str(n), n, one) for n, one in enumerate(series)]
    scale = fit_scale([*lines, Curve("edges", 9, [0.01, 10.0])], log=log, decades=2)
    together = area(draw_plot(lines, scale, 60, 14, glyphs=glyphs, top=top), lines)
    alone = [area(draw_plot([line], scale, 60, 14, glyphs=glyphs), lines) for line in lines]
    for y, row in enumerate(together):
        for x, cell in enumerate(row):
            here = [n for n, picture in enumerate(alone) if picture[y][x].strong]
            assert cell.strong == bool(here)
            if here:
                assert cell.colour in here
                assert cell.char == alone[cell.colour][y][x].char
                assert top not in here or cell.colour == top


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_marks_tell_lines_apart_without_colour(glyphs: GlyphSet) -> None:
    """Every line has its mark at least once in every so many columns, also where all lines are the same."""
    curves = [Curve(str(n), n, [5.0] * 100) for n in range(8)]
    rows = area(draw_plot(curves, Scale(1, 100, 0, 10), 80, 14, glyphs=glyphs, marks=True), curves)
    text = "".join(cell.char for row in rows for cell in row)
    symbols = ASCII if glyphs == "ascii" else UNICODE
    assert all(text.count(mark_arm(n, symbols)) >= len(rows[0]) // MARK_COLUMNS for n in range(8))


@pytest.mark.parametrize("glyphs", ["braille", "block"])
@pytest.mark.parametrize("epochs", [2, 3, 7])
def test_marks_stand_where_an_epoch_ended(glyphs: GlyphSet, epochs: int) -> None:
    """Between epochs nothing was measured: a line there only joins two values."""
    zigzag = [0.0, 10.0, 0.0, 10.0, 0.0, 10.0, 0.0][:epochs]
    curves = [Curve("zigzag", 1, zigzag), Curve("flat", 2, [5.0] * epochs), Curve("begun", 5, [7.0])]
    rows = area(draw_plot(curves, Scale(1, epochs, 0, 10), 80, 13, glyphs=glyphs, marks=True), curves)
    last = len(rows[0]) - 1
    for curve, at in ((curves[0], {0, len(rows) - 1}), (curves[1], {5}), (curves[2], {3})):
        char = mark_arm(curve.colour, UNICODE)
        found = {(y, x) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell.char == char}
        assert found, "every line has one"
        assert {y for y, _ in found} <= at
        places = [epoch * last / (epochs - 1) for epoch in range(len(curve.middle))]
        assert all(min(abs(x - place) for place in places) <= 1 for _, x in found)


def test_lines_that_are_the_same_take_turns_in_having_their_mark() -> None:
    curves = [Curve(str(n), n, [5.0, 5.0, 5.0]) for n in range(3)]
    text = to_text(draw_plot(curves, Scale(1, 3, 0, 10), 80, 14, marks=True))
    assert all(text.count(mark_arm(n, UNICODE)) == 1 for n in range(3))


@given(
    st.lists(st.lists(st.floats(0, 10), min_size=2, max_size=12), min_size=1, max_size=4),
    st.sampled_from(GLYPHS),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=60)
def test_line_keeps_its_colour_whatever_bands_lie_over_it(
    series: list[list[float]], glyphs: GlyphSet, random: Random
) -> None:
    """Cells with a dot of some line have the colour of one of these lines; no band is seen there."""
    scale = Scale(1, 12, 0, 10)
    lines = [Curve(str(n), n, one) for n, one in enumerate(series)]
    banded = [replace(c, inner=[(v - 1, v + 1) for v in c.middle], outer=[(0, 10)] * len(c.middle)) for c in lines]  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    order = random.sample(range(len(lines)), len(lines))
    alone = [draw_plot([line], scale, 60, 14, glyphs=glyphs) for line in lines]
    without, within = (
        area(draw_plot([chosen[n] for n in order], scale, 60, 14, glyphs=glyphs), lines) for chosen in (lines, banded)
    )
    owners = [area(picture, lines) for picture in alone]
    for y, row in enumerate(without):
        for x, cell in enumerate(row):
            here = {n for n, picture in enumerate(owners) if picture[y][x].strong}
            assert cell.strong == bool(here)
            if here:
                assert cell.colour in here
                assert replace(within[y][x], band=0) == cell
            else:
                assert not within[y][x].strong


def test_replicas_are_faint_lines_in_the_colour_of_their_arm() -> None:
    whole = Curve("a", 3, [5.0] * 5, replicas=[[2.0] * 5, [8.0] * 5])
    inside = area(draw_plot([whole], Scale(1, 5, 0, 10), 60, 14), [whole])
    rows = {y: row for y, row in enumerate(inside) if any(cell.colour is not None for cell in row)}
    assert len(rows) == 3
    assert [all(cell.strong for cell in row) for row in rows.values()] == [False, True, False]
    assert all(cell.colour == 3 for row in rows.values() for cell in row)
    assert to_text([list(row) for row in rows.values()]).count("\n") == 2


def test_many_replicas_take_no_more_dots_than_may_be_drawn() -> None:
    """All of them are there, each with fewer dots."""
    many = Curve("a", 0, [], replicas=[[float(n)] * 50 for n in range(200)])
    inside = area(draw_plot([many], Scale(1, 50, 0, 199), 180, 52), [many])
    dots = sum((ord(c.char) - 0x2800).bit_count() for row in inside for c in row if c.colour is not None)
    assert dots <= 8000
    assert all(any(cell.colour is not None for cell in row) for row in inside)


def test_many_replicas_take_few_calls() -> None:
    replicas = [[50.0 + (number * epoch) % 7 for epoch in range(500)] for number in range(100)]
    curve = Curve("a", 0, replicas[0], replicas=replicas)
    scale = fit_scale([curve])
    assert count_calls(lambda: draw_plot([curve], scale, 60, 20)) < 8 * REPLICA_DOTS
    assert count_calls(lambda: fit_scale([curve])) < 5_000, "far fewer than there are values"


def test_bands_are_shades_behind_the_line() -> None:
    curve = Curve("a", 0, [5.0] * 4, [(4.0, 6.0)] * 4, [(0.0, 10.0)] * 4)
    text = to_text(draw_plot([curve], fit_scale([curve]), 40, 14))
    assert "░" in text
    assert "▒" in text
    assert text.index("░") < text.index("▒")


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4), min_size=1, max_size=9))
def test_series_add_up_to_numpys_figures(runs: list[list[float]]) -> None:
    series = ArmSeries("a")
    for run in runs:
        series.add(record(epoch, value) for epoch, value in enumerate(run, start=1))
    array = np.array(runs)
    for epoch in range(1, 5):
        found = series.at("accuracy", epoch)
        assert found is not None
        column = array[:, epoch - 1]
        assert (found.n, found.low, found.high) == (len(runs), column.min(), column.max())
        assert found.mean == pytest.approx(column.mean(), abs=1e-9)
        assert found.sd == pytest.approx(column.std(), abs=1e-4)
    assert series.at("accuracy", 5) is None
    assert series.at("perplexity", 1) is None


def test_added_up_runs_and_new_ones_give_the_same_series() -> None:
    figures = np.random.default_rng(0).normal(95, 1, (6, 3))
    columns = {
        "mean": figures[:4].mean(0), "sd": figures[:4].std(0), "min": figures[:4].min(0), "max": figures[:4].max(0)
    }  # fmt: skip
    known = {name: tuple(column.tolist()) for name, column in columns.items()}
    spread = SpreadCurve(n=(4, 4, 4), low=known["min"], high=known["max"], **known)
    series = ArmSeries("a")
    series.add_finished(make_curves("a", accuracy=spread))
    for run in figures[4:]:
        series.add(record(epoch, value) for epoch, value in enumerate(run, start=1))
    curve = make_curve(series, "accuracy", 0)
    assert [v for v in curve.middle if v is not None] == pytest.approx(figures.mean(0))
    deviations = make_curve(series, "accuracy", 0, spread=True)
    assert [v for v in deviations.middle if v is not None] == pytest.approx(figures.std(0))
    assert curve.label == f"±{figures.std(0)[-1]:.2g}"


def test_figures_that_are_no_numbers_are_gaps() -> None:
    series = ArmSeries("a")
    series.add([record(1, 1.0), record(2, math.nan), record(3, 2.0)])
    assert make_curve(series, "accuracy", 0).middle == [1.0, None, 2.0]


def add_runs(series: ArmSeries, *runs: list[float]) -> ArmSeries:
    for run in runs:
        series.add(record(epoch, value) for epoch, value in enumerate(run, start=1))
    return series


def test_arm_that_one_replica_is_left_of_is_drawn_and_named() -> None:
    series = add_runs(ArmSeries("a"), [1.0, 2.0, 3.0], [3.0, 6.0])
    curve = make_curve(series, "accuracy", 0)
    assert curve.middle == [2.0, 4.0, 3.0]
    assert curve.outer == [(1.0, 3.0), (2.0, 6.0), None]
    assert curve.label == "±2 at 2"
    spread = make_curve(series, "accuracy", 0, spread=True)
    assert spread.middle == [1.0, 2.0, None]
    assert spread.label == "±2 at 2"
    assert make_curve(series, "accuracy", 0, spread=True, epoch=1).label == "±1"
    assert make_curve(series, "accuracy", 0, spread=True, epoch=3).label == "–"
    alone = make_curve(add_runs(ArmSeries("a"), [1.0, 2.0]), "accuracy", 0, spread=True)
    assert alone.middle == [None, None]
    assert alone.label == "n=1"
    picture = to_text(draw_plot([alone, spread], fit_scale([spread]), 60, 12))
    assert "n=1" in picture, "in the legend, drawn or not"


def test_arm_whose_replicas_all_diverged_shows_no_spread() -> None:
    """Networks that fail alike have an accuracy, that of guessing, and no SD: 0 would look deterministic."""
    series = add_runs(ArmSeries("a"), [40.0, 9.91], [50.0, 9.91], [9.91])
    ends = {2: 2, 1: 1}
    curve = make_curve(series, "accuracy", 0, diverged=ends)
    assert curve.middle[-1] == pytest.approx(9.91)
    assert curve.outer == [(9.91, 50.0), None]
    assert curve.inner[1] is None
    assert make_curve(series, "accuracy", 0, spread=True, diverged=ends).middle[1] is None
    assert curve.label == "3 diverged"
    assert make_curve(series, "cross-entropy", 0, spread=True, diverged=ends).middle == [0.0, 0.0], "of what is finite"


@pytest.mark.parametrize(
    ("runs", "ends", "label"),
    [
        ([[1.0, 2.0], [1.0, 4.0], [9.91]], {1: 1}, "±1 ~1"),
        ([[1.0, 2.0], [9.91], [9.91]], {1: 2}, "±4.2 at 1 ~2"),
        ([[1.0, 9.91], [9.91], [9.91]], {2: 1, 1: 2}, "3 diverged"),
        ([[1.0, 9.91], [1.0, 3.0]], {2: 1}, "±3.5 ~1"),
        ([], {1: 2}, "2 diverged"),
        ([], {}, ""),
    ],
)
def test_label_counts_the_replicas_that_diverged(runs: list[list[float]], ends: dict[int, int], label: str) -> None:
    assert make_curve(add_runs(ArmSeries("a"), *runs), "accuracy", 0, diverged=ends).label == label


def test_labels_stand_from_the_highest_end_down_whatever_is_drawn_on_top() -> None:
    curves = [Curve(name, number, [1.0, 5.0 - number * 1e-3], label=name) for number, name in enumerate("abc")]
    pictures = []
    for order in (curves, curves[::-1], [curves[1], curves[2], curves[0]]):
        text = to_text(draw_plot(order, fit_scale(order), 40, 12)).splitlines()
        pictures.append([row[-1] for row in text[:3]])
    assert pictures == [["a", "b", "c"]] * 3


def test_names_take_the_columns_they_are_given() -> None:
    assert fit_name("Parameter Initialization", 8) == "Paramet…"
    assert fit_name("随机\x1b[31m", 12) == "??\\x1b[31m".ljust(12)


def find_labels(curves: list[Curve], *, height: int, log: bool = False, last: int | None = None) -> dict[str, int]:
    """The row of each label."""
    scale = fit_scale(curves, last=last, log=log)
    rows = to_text(draw_plot(curves, scale, 80, height)).splitlines()
    return {curve.label: next(y for y, row in enumerate(rows) if row.endswith(f" {curve.label}")) for curve in curves}


@settings(max_examples=60)
@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=8), st.booleans())
def test_labels_are_in_the_order_of_the_ends_and_none_could_be_nearer(ends: list[float], log: bool) -> None:
    """The oracle is the least total distance over all ways to place them in this order."""
    curves = [Curve(f"{n}", n, [50.0, end], label=f"L{n}") for n, end in enumerate(ends)]
    rows = 10
    scale = fit_scale([*curves, Curve("edges", 9, [1.0, 100.0])], log=log)
    assert scale is not None
    shown = to_text(draw_plot(curves, scale, 80, rows + 2)).splitlines()
    found = [next(y for y, row in enumerate(shown) if row.endswith(f" L{n}")) for n in range(len(ends))]
    order = sorted(range(len(ends)), key=lambda n: (-ends[n], n))
    assert [found[n] for n in order] == sorted(found)
    wanted = [min(rows - 1, max(0, int(scale.row(ends[n], rows)))) for n in order]
    ways = itertools.combinations(range(rows), len(ends))
    least = min(sum((a - b) ** 2 for a, b in zip(way, wanted, strict=True)) for way in ways)
    assert sum((found[n] - w) ** 2 for n, w in zip(order, wanted, strict=True)) == least


@pytest.mark.parametrize("top", [None, 0, 8])
def test_labels_without_a_row_are_counted(top: int | None) -> None:
    curves = [Curve(f"{n}", n, [50.0, 10.0 + n], label=f"arm {n} 0.5") for n in range(9)]
    text = to_text(draw_plot(curves, fit_scale(curves), 60, 8, top=top))
    shown = {curve.colour for curve in curves if curve.label in text}
    assert len(shown) == 5, "six rows, of which the last one counts"
    assert text.splitlines()[5].endswith(" +4 more")
    assert shown == {8, 7, 6, 5, 0 if top == 0 else 4}, "the highest ends, and the arm in front in any case"


def test_label_of_an_end_that_a_logarithm_cannot_show_is_at_the_bottom() -> None:
    curves = [Curve("a", 0, [8.0, 0.0, 0.0], label="zero"), Curve("b", 1, [4.0, 2.0, 1.0], label="one")]
    assert find_labels(curves, height=10, log=True) == {"zero": 7, "one": 6}


def test_label_stands_where_its_line_leaves_the_part_that_is_shown() -> None:
    curves = [Curve("a", 0, [8.0, 8.0, 1.0], label="falls"), Curve("b", 1, [1.0, 1.0, 8.0], label="rises")]
    assert find_labels(curves, height=10, last=2) == {"falls": 0, "rises": 7}
