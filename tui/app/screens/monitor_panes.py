"""The parts of the monitor: each is bound to what it shows of the screen's attributes, and draws that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text
from textual import events
from textual.reactive import var

from engine.catalog.measures import EPOCH_FIGURES
from engine.protocol.faults import printable
from tui.app.follow import Picture
from tui.app.schemes import arm_style
from tui.app.screens.monitor_lines import MARK_WIDTH, arm_lines, describe_figures, longest_name, name_arms, run_lines
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane, TextPane, redraw_on_change
from tui.app.widgets.plotview import PlotView
from tui.app.widgets.titles import set_border_title
from tui.text.format import ASCII, UNICODE, Symbols, describe_state, format_seconds
from tui.text.series import Curve, count_ended, make_curve

LEGEND_SHARE = 5
"""The legend's names have one part in so many of the screen's columns."""

STALE_S = 3
"""A picture that is older says so."""


class Heading(TextPane):
    """Says in one line how far the study is, or why it cannot be read."""

    SHOWS = ("picture", "fault", "held", "age_s")
    picture: var[Picture | None] = var(None)
    fault: var[str | None] = var(None)
    held: var[bool] = var(False)
    age_s: var[int] = var(0)

    def __init__(self, study: str) -> None:
        """Take the study's name, which is shown until it has been read."""
        super().__init__(id="title", classes="title")
        self.study = study

    def make_text(self) -> Text:
        """Make the line from the last picture."""
        if self.fault is not None:
            return Text(f" {UNICODE.failed} {printable(self.fault)}", style="bold")
        if self.picture is None:
            return Text(f" {printable(self.study)}   reading …")
        return Text(" " + "   ".join(self._describe(self.picture)), style="bold", no_wrap=True)

    def _describe(self, picture: Picture) -> list[str]:
        snapshot = picture.snapshot
        done, total = snapshot.counts.get("done", 0), len(snapshot.runs)
        slots = snapshot.slots
        parts = [
            printable(snapshot.study),
            describe_state(snapshot.state, snapshot.counts.get("failed", 0)),
            f"{done} of {total} runs",
        ]
        if snapshot.supervised:
            parts.append(f"{sum(s.state == 'training' for s in slots)} of {len(slots)} slots")
        if done < total and snapshot.seconds_left is not None and snapshot.supervised:
            parts.append(f"about {format_seconds(snapshot.seconds_left)} left")
        if self.held:
            parts.append("view held")
        if self.age_s > STALE_S:
            parts.append(f"updated {format_seconds(self.age_s)} ago")
        return parts


class ArmPlot(PlotView):
    """Draws a curve for every arm that is not hidden, in the arm's colour; the arm under the cursor on top."""

    SHOWS = ("picture", "measure", "spread", "log_scale", "hidden", "top")
    picture: var[Picture | None] = var(None)
    measure: var[str] = var("accuracy")
    spread: var[bool] = var(False)
    hidden: var[frozenset[str]] = var(frozenset())
    top: var[str | None] = var(None)

    def on_mount(self) -> None:
        """Draw, and follow what the curves depend on."""
        redraw_on_change(self, self.SHOWS, self.redraw)

    def on_resize(self, event: events.Resize) -> None:
        """Give the legend what room there is now."""
        self.redraw()

    def redraw(self) -> None:
        """Make the title and the curves as they are now."""
        title = EPOCH_FIGURES[self.measure]
        what = (
            f"SD of {title} over replicas" if self.spread else f"{title}  (░ least–most, ▒ ±SD, line mean, · replica 1)"
        )
        set_border_title(self, what + ("  log" if self.log_scale else ""))
        if self.picture is not None:
            self.curves = tuple(self._make_curves(self.picture))

    def _make_curves(self, picture: Picture) -> list[Curve]:
        room = min(longest_name(picture), self.screen.size.width // LEGEND_SHARE + MARK_WIDTH)
        names = name_arms(picture, room, UNICODE if self.glyphs != "ascii" else ASCII)
        curves: list[Curve] = []
        for number, arm in enumerate(picture.snapshot.arms):
            if arm.name not in self.hidden:
                reference = picture.references.get(arm.name, ()) if self.measure == "accuracy" else ()
                series, ends = picture.series[arm.name], arm.diverged_epochs
                one = make_curve(series, self.measure, number, spread=self.spread, reference=reference, diverged=ends)
                curves.append(replace(one, label=f"{names[number]:{room}} {one.label}" if one.label else ""))
        return sorted(curves, key=lambda curve: curve.name == self.top)


class Readout(TextPane):
    """Says the figures of every arm at one epoch."""

    SHOWS = ("picture", "measure", "hidden", "epoch")
    picture: var[Picture | None] = var(None)
    measure: var[str] = var("accuracy")
    hidden: var[frozenset[str]] = var(frozenset())
    epoch: var[int] = var(2)
    symbols: var[Symbols] = var(UNICODE)

    def make_text(self) -> Text:
        """Make the line from the epoch that the plot points at."""
        text, picture = Text(), self.picture
        if picture is None:
            return text
        text.append(f" epoch {self.epoch}" if picture.measures else " no epoch has ended yet")
        names = name_arms(picture, 14, self.symbols)
        for number, arm in enumerate(picture.snapshot.arms):
            found = picture.series[arm.name].at(self.measure, self.epoch)
            if found is None or arm.name in self.hidden:
                continue
            ended = count_ended(self.measure, self.epoch, arm.diverged_epochs)
            text.append("   ")
            text.append(names[number], arm_style(number, self.app.theme))
            text.append(f" {describe_figures(found, ended)}")
        return text


class ArmList(LinesPane):
    """Lists the arms with their measures so far; Enter on one opens its runs."""

    SHOWS = ("picture", "fault", "hidden")
    picture: var[Picture | None] = var(None)
    fault: var[str | None] = var(None)
    hidden: var[frozenset[str]] = var(frozenset())
    symbols: var[Symbols] = var(UNICODE)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm; or say why there is nothing to list."""
        set_border_title(self, f"Arms{explain_marks(self.picture)}")
        if self.picture is None:
            return wrap_lines(self.fault or "", width)
        return arm_lines(self.picture, hidden=self.hidden, width=width, theme=self.app.theme, symbols=self.symbols)


class RunList(LinesPane):
    """Shows a mark per run, then what is being trained, what stands in the way, and the GPUs."""

    SHOWS = ("picture", "gpus")
    picture: var[Picture | None] = var(None)
    gpus: var[tuple[str, ...]] = var(())
    symbols: var[Symbols] = var(UNICODE)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the last picture."""
        set_border_title(self, f"Runs{explain_marks(self.picture)}")
        if self.picture is None:
            return ()
        return run_lines(self.picture, self.gpus, width=max(20, width), theme=self.app.theme, symbols=self.symbols)


def explain_marks(picture: Picture | None) -> str:
    """Return what the mark of a diverged run means, where there is one."""
    diverged = picture is not None and picture.snapshot.diverged
    return f"   {UNICODE.diverged} diverged: loss not finite" if diverged else ""
