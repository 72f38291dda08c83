"""Figures 2 and 3 of the results: the spread by epoch, and measures by the epoch in which replicas begin to differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.reactive import var

from engine.catalog.measures import EPOCH_FIGURES
from engine.protocol.faults import printable
from engine.study.instability import SpreadSeries, describe_diverged
from engine.study.metrics_record import ArmMeasures, group_onsets
from tui.app.plot_rows import paint_row
from tui.app.schemes import arm_style
from tui.app.screens.results_data import ShownMeasures
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane, redraw_on_change
from tui.app.widgets.plotview import LEGEND_SHARE, PlotView
from tui.app.widgets.titles import set_border_title
from tui.text.few_measures import explain_numbers, list_scores
from tui.text.format import ASCII, UNICODE, Symbols, mark_arm, shorten_apart
from tui.text.growth import (
    PLOT_ROWS,
    GrowthFamily,
    describe_growth,
    draw_growth,
    group_growth,
    make_growth_curves,
    tabulate_growth,
)
from tui.text.growth import TITLE as GROWTH_TITLE
from tui.text.plot import NOTHING_YET, GlyphSet
from tui.text.series import Curve, make_spread_curves
from tui.text.tables import Column
from tui.text.text_figures import format_apart, list_crossed, list_first_epochs, list_onsets, make_onset_columns

LONGEST_NAME = 40

LEAST_PLOT = 6
"""Rows that a curve is worth drawing in."""

NONE_YET = "Figures over time need two finished replicas of an arm."

ONSET = "onset "
"""Begins the name of a figure that shows a measure against the onset; its key follows."""

GROWTH = "growth "
"""Begins the name of a figure that shows how moved bits grew; the name of their arms follows."""

Title = str


def list_figures(measured: ShownMeasures) -> list[str]:
    """List the figures that a study has: measures against onset, then the SD of figures by epoch."""
    families = group_onsets(measured.arms)
    onsets = [column.measure.key for column in make_onset_columns(UNICODE, text=measured.text)] if families else []
    growths = [GROWTH + family.name for family in group_growth(measured.arms)]
    return [*(ONSET + key for key in onsets), *growths, *measured.spreads]


def make_figure(measured: ShownMeasures, figure: str, name_width: int, symbols: Symbols) -> tuple[Title, list[Curve]]:
    """Return the title and the curves of a figure."""
    if figure.startswith(ONSET):
        columns = make_onset_columns(symbols, text=measured.text)
        column = next(one for one in columns if one.measure.key == figure.removeprefix(ONSET))
        title = f"{column.title}, {column.unit}, by the first epoch in which replicas differ (figure 2)"
        return title, _draw_onsets(measured, column, name_width, symbols)
    if figure.startswith(GROWTH):
        family = find_family(measured, figure)
        return f"{family.name}: {GROWTH_TITLE}", make_growth_curves(family, name_width, symbols)[0]
    places = {arm.name: number for number, arm in enumerate(measured.arms)}
    curves = make_spread_curves(measured.spreads[figure], name_width, symbols, places=places)
    return f"SD over replicas of {EPOCH_FIGURES[figure]} (figure 3)", curves


def find_growth(measured: ShownMeasures) -> int:
    """Return the place of the first figure that shows how moved bits grew."""
    figures = list_figures(measured)
    return next((place for place, figure in enumerate(figures) if figure.startswith(GROWTH)), 0)


def list_evidence(measured: ShownMeasures, arms: Sequence[str], symbols: Symbols, size: Size, theme: str) -> list[Line]:
    """List what stands behind a sentence about some arms that is on no measure of the table.

    Args:
        measured: The measures of all arms.
        arms: Names of those that it is about.
        symbols: What can be shown.
        size: Columns and rows at hand; a picture takes what there is, and is whole.
        theme: The framework's name of the theme.
    """
    width = size.width
    chosen = [arm for arm in measured.arms if arm.name in arms]
    shares = list_crossed(chosen, symbols, bar=max(8, width // 5))
    families = find_families(measured, arms)
    room = min(LONGEST_NAME, max(12, width // LEGEND_SHARE))
    height = max(LEAST_PLOT, min(PLOT_ROWS, size.height // max(1, len(families))))
    grown = [row for family in families for row in draw_growth(family, symbols, room, width, height)]
    return [*(Line(Text(row)) for row in shares), *(paint_row(row, theme) for row in grown)]


def find_families(measured: ShownMeasures, arms: Sequence[str]) -> list[GrowthFamily]:
    """Return the growths that arms of these names are part of."""
    return [family for family in group_growth(measured.arms) if any(arm.name in arms for _, arm, _ in family.arms)]


def find_family(measured: ShownMeasures, figure: str) -> GrowthFamily:
    """Return the arms whose growth a figure shows, by its name."""
    return next(family for family in group_growth(measured.arms) if family.name == figure.removeprefix(GROWTH))


def _draw_onsets(measured: ShownMeasures, column: Column, name_width: int, symbols: Symbols) -> list[Curve]:
    """Return a curve per family, straight between the onsets that were trained."""
    places = {arm.name: number for number, arm in enumerate(measured.arms)}
    families = group_onsets(measured.arms)
    names = shorten_apart([printable(name) for name in families], name_width, symbols)
    curves: list[Curve] = []
    for (name, family), shown in zip(families.items(), names, strict=True):
        number = places[family[0].name]
        values = join_onsets(family, column.measure.key)
        curves.append(Curve(name, number, values, label=f"{mark_arm(number, symbols)} {shown}"))
    return curves


def join_onsets(family: Sequence[ArmMeasures], key: str) -> tuple[float | None, ...]:
    """Return a measure by the first epoch in which replicas differ, the onset and one, from 1 on.

    Between the onsets that were trained values lie on straight lines; before the first there are none.
    """
    found = (((arm.onset or 0) + 1, arm.find(key).value) for arm in family)
    known = sorted((epoch, value) for epoch, value in found if value is not None)
    values: list[float | None] = [None] * (known[-1][0] if known else 0)
    for (start, first), (end, last) in pairwise([*known, *known[-1:]]):
        values[start - 1] = first
        for epoch in range(start + 1, end):
            values[epoch - 1] = first + (last - first) * (epoch - start) / (end - start)
    return tuple(values)


class FigurePlot(PlotView):
    """Draws one of the study's figures over time."""

    FRAME = "figures"

    SHOWS = ("measured", "figure", "linear")
    measured: var[ShownMeasures | None] = var(None)
    figure: var[int] = var(0)
    linear: var[bool] = var(False)

    def __init__(self, glyphs: GlyphSet, further: int) -> None:
        """Take what lines are made of, and how many figures further this plot shows."""
        super().__init__(glyphs, name_id=f"figure{further}", classes="box")
        self.further, self.symbols = further, ASCII if glyphs == "ascii" else UNICODE

    def on_mount(self) -> None:
        """Draw, and follow what the curves depend on."""
        super().on_mount()
        redraw_on_change(self, self.SHOWS, self.redraw)

    def on_resize(self, event: events.Resize) -> None:
        """Give the legend what room there is now."""
        self.redraw()

    def redraw(self) -> None:
        """Make the title and the curves as they are now."""
        if self.measured is None or not self.size.width:
            return
        figures = list_figures(self.measured)
        if not figures:
            self.empty = "no curves" if list_scores(self.measured.arms) else NOTHING_YET
            self.curves = ()
            return
        figure = figures[(self.figure + self.further) % len(figures)]
        room = min(LONGEST_NAME, self.size.width // LEGEND_SHARE)
        title, curves = make_figure(self.measured, figure, room, self.symbols)
        grows = figure.startswith(GROWTH)
        self.step = make_growth_curves(find_family(self.measured, figure), room, self.symbols)[1] if grows else "epoch"
        self.log_scale = not self.linear and not figure.startswith(ONSET)
        set_border_title(self, title + ("  log" if self.log_scale else ""))
        self.curves = tuple(curves)


class FigureNotes(LinesPane):
    """Lists the figures that the plots show, as numbers."""

    FRAME = "figures"

    SHOWS = ("measured", "figure")
    measured: var[ShownMeasures | None] = var(None)
    figure: var[int] = var(0)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="figurenotes", classes="box", cursor=False)
        self.symbols = symbols
        self.border_title = "In numbers"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm of the figure that is shown."""
        if self.measured is None or width < 1:
            return []
        figures = list_figures(self.measured)
        if not figures:
            return wrap_lines(explain_numbers(self.measured.arms, "curves") or NONE_YET, width)
        figure = figures[self.figure % len(figures)]
        places = {arm.name: number for number, arm in enumerate(self.measured.arms)}
        if figure.startswith(GROWTH):
            family = find_family(self.measured, figure)
            rows = tabulate_growth(family, self.symbols, min(LONGEST_NAME, max(12, width // 4)), width)
            said = [part for line in describe_growth(family) for part in wrap_lines(line, width)]
            return [*(Line(Text(row)) for row in rows), *said]
        if figure.startswith(ONSET):
            rows = list_onsets(self.measured.arms, self.symbols, bar=min(24, max(4, width // 5)))
            return [Line(Text(row)) for row in rows]
        lines = self._list_spreads(self.measured.spreads[figure], places, width)
        notes = [printable(note) for note in describe_diverged(self.measured.curves)]
        notes += list_first_epochs(self.measured.curves, self.symbols)
        return [*lines, *(part for note in notes for part in wrap_lines(note, width))]

    def _list_spreads(self, series: Sequence[SpreadSeries], places: Mapping[str, int], width: int) -> list[Line]:
        longest = max((len(printable(one.arm.name)) for one in series), default=0)
        room = max(12, min(LONGEST_NAME, longest, width // 3))
        names = shorten_apart([printable(one.arm.name) for one in series], room, self.symbols)
        head = f"{'':2}{'SD by epoch':{room}}  {'first':>8}  {'most':>8}  {'last':>8}"
        titles = ("middle 95 % of the last epoch", "last middle 95 %")
        title = next((one for one in titles if len(head) + 2 + len(one) <= width), titles[-1])
        lines = [Line(Text(f"{head}  {title}", style="bold"))]
        for one, name in zip(series, names, strict=True):
            number = places.get(one.arm.name, 0)
            low, high = format_apart(one.low[-1], one.high[-1])
            sds = "  ".join(f"{value:>8.3g}" for value in (one.sd[0], max(one.sd), one.sd[-1]))
            label = (f"{mark_arm(number, self.symbols)} {name:{room}}", arm_style(number, self.app.theme))
            lines.append(Line(Text.assemble(label, f"  {sds}  {low} to {high}")))
        return lines
