"""The pictures of the monitor: the spread of every arm by epoch, one arm alone, and the difference of two by pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.reactive import var

from engine.protocol.faults import printable
from engine.study.comparison_record import UNITS
from engine.study.replica_curves import find_outliers
from engine.study.series import ArmSeries
from tui.app.follow import Picture
from tui.app.screens.monitor_layout import Plot
from tui.app.screens.monitor_lines import MARK_WIDTH, longest_name, name_arms
from tui.app.widgets.panes import redraw_on_change
from tui.app.widgets.plotview import LEGEND_SHARE, PlotView
from tui.app.widgets.titles import TITLE_FRAME, set_border_title
from tui.text.counts import plural
from tui.text.decisions import list_levels, make_rounds_curve, name_difference
from tui.text.figure_names import name_figure
from tui.text.format import ASCII, MISSING, UNICODE, Symbols, mark_arm, shorten
from tui.text.plot import NOTHING_YET, SHADES
from tui.text.scale import spans_decades
from tui.text.series import SPREAD_DECADES, Curve, make_curve

NO_SPREAD = "a spread needs two replicas at the same epoch"

NO_EPOCHS = "no curves: the program notes no epochs"

NOT_READ = "nothing was read of this study yet"

MOST_NAMED = 3
"""Outliers that are named."""


class MonitorPlot(PlotView):
    """Draws what is bound to it, and tells when it is clicked; its frame shows whether keys act on it."""

    SHOWS: ClassVar[tuple[str, ...]] = ("picture", "measure", "hidden", "top", "log_axis", "epoch_read", "active")
    picture: var[Picture | None] = var(None)
    measure: var[str] = var("accuracy")
    hidden: var[frozenset[str]] = var(frozenset())
    top: var[str | None] = var(None)
    log_axis: var[bool | None] = var(None)
    """Whether the axis is logarithmic; None leaves that to the values."""
    epoch_read: var[int | None] = var(None)
    """The epoch under the cursor of the plots."""
    active: var[bool] = var(False, toggle_class="-active")

    @property
    def symbols(self) -> Symbols:
        """The characters that texts are made of."""
        return ASCII if self.glyphs == "ascii" else UNICODE

    def on_mount(self) -> None:
        """Draw, and follow what the curves depend on."""
        redraw_on_change(self, self.SHOWS, self.redraw)

    def on_resize(self, event: events.Resize) -> None:
        """Give the legend what room there is now."""
        self.redraw()

    def redraw(self) -> None:
        """Make the title and the curves as they are now."""
        raise NotImplementedError

    def set_titles(self, title: str, below: str) -> None:
        """Write into the frame, with a mark where keys act on this picture; what does not fit is left out."""
        room = self.size.width - TITLE_FRAME + 2
        title = f"{self.symbols.folded} {title}" if self.active and title else title
        set_border_title(self, shorten(title, max(0, room), self.symbols))
        below = below if len(below) <= room else ""
        if self.border_subtitle != below:
            self.border_subtitle = below


class SpreadPlot(MonitorPlot):
    """Draws the SD over replicas of every arm that is not hidden, the arm under the cursor in front."""

    FRAME = "spread"

    def redraw(self) -> None:
        """Make the title and the curves as they are now."""
        picture = self.picture
        curves = () if picture is None else tuple(self._make_curves(picture))
        place = None if picture is None else picture.find_arm(self.top)
        log = spans_decades(curves) if self.log_axis is None else self.log_axis
        what = f"SD of {name_figure(self.measure)}, by epoch" + (" (log)" if log else "")
        titles = (f"Spread between replicas: {what}", f"Spread: {what}", what)
        self.set_titles(next((title for title in titles if len(title) <= self.size.width - TITLE_FRAME), what), "")
        with self.prevent_draws():
            self.decades, self.log_scale, self.from_zero = SPREAD_DECADES, log, True
            self.empty = NOT_READ if picture is None else NO_SPREAD if picture.measures else explain_empty(picture)
            self.front = None if place is None else place[0]
            self.curves = curves

    def _make_curves(self, picture: Picture) -> list[Curve]:
        room = min(longest_name(picture), self.size.width // LEGEND_SHARE + MARK_WIDTH)
        names = name_arms(picture, room, self.symbols)
        curves: list[Curve] = []
        for number, arm in enumerate(picture.snapshot.arms):
            if arm.name not in self.hidden:
                series, ends = picture.series[arm.name], arm.diverged_epochs
                one = make_curve(series, self.measure, number, spread=True, diverged=ends, epoch=self.epoch_read)
                label = (one.label or MISSING).removeprefix("±")
                curves.append(replace(one, label=f"{names[number]:{room}} {label}"))
        return curves


def explain_empty(picture: Picture) -> str:
    """Say why there is no curve: a program of one's own need not note its epochs."""
    done = any(arm.counts.get("done", 0) for arm in picture.snapshot.arms)
    return NO_EPOCHS if done and not picture.measures else NOTHING_YET


class ArmPlot(MonitorPlot):
    """Draws the arm under the cursor alone: mean, bands, every replica as a faint line, and outliers by name."""

    FRAME = "one arm"

    def redraw(self) -> None:
        """Make the title and the curves as they are now."""
        picture = self.picture
        place = None if picture is None else picture.find_arm(self.top)
        if picture is None or place is None:
            self.set_titles("", "")
            self.empty, self.curves = NOT_READ, ()
            return
        number, arm = place
        name = f"{mark_arm(number, self.symbols)} {printable(arm.name)}"
        log = bool(self.log_axis)
        what = name_figure(self.measure) + (" (log)" if log else "")
        titles = (f"{name}: {what} of {plural(len(arm.runs), 'replica')}", f"{name}: {what}", name)
        light, dark = SHADES[self.glyphs]
        shades = "" if self.tinted else f"{dark} {light} "
        self.set_titles(
            next((title for title in titles if len(title) <= self.size.width - 6), name),
            f"mean {self.symbols.bar_rest} bands {shades}{self.symbols.plus_minus}SD, least to most",
        )
        with self.prevent_draws():
            self.log_scale, self.front, self.empty = log, None, explain_empty(picture)
            self.curves = tuple(self._make_curves(picture, number, picture.series[arm.name], arm.diverged_epochs))

    def _make_curves(self, picture: Picture, number: int, series: ArmSeries, ends: dict[int, int]) -> list[Curve]:
        """Return the outliers' curves, then that of the arm."""
        replicas = picture.replicas.get(self.measure, ()) if picture.focus == series.name else ()
        whole = replace(make_curve(series, self.measure, number, diverged=ends), replicas=replicas)
        named = [
            Curve(series.name, number, replicas[place], label=f"replica {place + 1}")
            for place in find_outliers([self._read(line) for line in replicas])[:MOST_NAMED]
        ]
        return [*named, replace(whole, label="mean" if whole.middle else "")]

    def _read(self, line: tuple[float | None, ...]) -> float | None:
        """Return a replica's figure at the epoch that values are read at, else its last one."""
        if self.epoch_read is None:
            return line[-1] if line else None
        return line[self.epoch_read - 1] if self.epoch_read <= len(line) else None


NO_PAIR = "no pair of replicas is through yet"


class RoundsPlot(MonitorPlot):
    """Draws how the interval of two arms' difference closes while pairs of their replicas are trained."""

    SHOWS: ClassVar[tuple[str, ...]] = ("picture", "active")
    step = "pair"

    def redraw(self) -> None:
        """Make the title and the curve as they are now."""
        snapshot = None if self.picture is None else self.picture.snapshot
        settings = None if snapshot is None else snapshot.compare
        if snapshot is None or settings is None:
            self.set_titles("", "")
            self.curves = ()
            return
        unit = UNITS.get(settings.measure, "")
        what = f"{settings.measure}{f', {unit}' if unit else ''}"
        name = name_difference(settings)
        titles = (f"{name}: {what}, by pair", f"{name}: {what}", f"{name}: {settings.measure}", what)
        margin = "" if settings.margin is None else f", margin {self.symbols.plus_minus}{settings.margin:g}"
        room = self.size.width - TITLE_FRAME
        below = next((text for text in (f"mean, interval; lines: 0{margin}", f"0{margin}") if len(text) <= room), "")
        self.set_titles(next((title for title in titles if len(title) <= room), what), below)
        curve = make_rounds_curve(snapshot, self.symbols)
        with self.prevent_draws():
            self.empty, self.levels = NO_PAIR, list_levels(snapshot)
            self.curves = () if curve is None else (curve,)


NAMES: dict[type[MonitorPlot], Plot] = {SpreadPlot: "spread", ArmPlot: "arm", RoundsPlot: "rounds"}
"""Picture → its name on the screen."""
