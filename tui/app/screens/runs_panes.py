"""The parts of the screen of an arm's runs: each is bound to what it shows, and draws that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.reactive import var

from engine.protocol.faults import printable
from engine.study.snapshot import RunView
from tui.app.follow import Picture
from tui.app.run_facts import RunFacts
from tui.app.schemes import arm_style
from tui.app.screens.runs_lines import fact_lines, run_lines
from tui.app.widgets.lines import Line
from tui.app.widgets.panes import LinesPane, TextPane, redraw_on_change
from tui.app.widgets.plotview import PlotView
from tui.app.widgets.titles import set_border_title
from tui.text.figure_names import name_figure
from tui.text.format import Symbols, mark_arm
from tui.text.plot import GlyphSet
from tui.text.series import Curve, make_curve


def find_run(picture: Picture | None, arm: str, run: str | None) -> tuple[int, int, RunView] | None:
    """Return the place of an arm, and a run of it with the number of its replica from 1."""
    place = None if picture is None else picture.find_arm(arm)
    if place is None:
        return None
    return next(((place[0], n, one) for n, one in enumerate(place[1].runs, start=1) if one.id == run), None)


class RunsHeading(TextPane):
    """Names the study and the arm, and counts its runs."""

    SHOWS = ("picture", "fault")
    picture: var[Picture | None] = var(None)
    fault: var[str] = var("")

    def __init__(self, arm: str, symbols: Symbols) -> None:
        """Take the arm's name, and what can be shown."""
        super().__init__(classes="title")
        self.arm, self.symbols = arm, symbols

    def make_text(self) -> Text:
        """Make the line."""
        if self.fault:
            return Text(f" {self.symbols.failed} {printable(self.fault)}", style="bold")
        place = None if self.picture is None else self.picture.find_arm(self.arm)
        if place is None or self.picture is None:
            return Text(f" {printable(self.arm)}")
        number, arm = place
        text = Text(f" {printable(self.picture.snapshot.study)}   ", "bold", no_wrap=True, overflow="ellipsis")
        text.append(f"{mark_arm(number, self.symbols)} {printable(arm.name)}", arm_style(number, self.app.theme))
        counts = ", ".join(f"{count} {status}" for status, count in arm.counts.items())
        return text.append(f"   {counts}")


class RunList(LinesPane):
    """Lists the runs of the arm."""

    SHOWS = ("picture",)
    picture: var[Picture | None] = var(None)

    def __init__(self, arm: str, symbols: Symbols) -> None:
        """Take the arm's name, and what can be shown."""
        super().__init__(name_id="list", classes="box")
        self.arm, self.symbols = arm, symbols

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per run."""
        set_border_title(self, "Replicas")
        place = None if self.picture is None else self.picture.find_arm(self.arm)
        return run_lines(() if place is None else place[1].runs, self.symbols)


class RunPlot(PlotView):
    """Draws the curve of the run under the cursor in front of the arm's mean and bands."""

    SHOWS: ClassVar[tuple[str, ...]] = ("picture", "measure", "run_id", "cursor")
    picture: var[Picture | None] = var(None)
    measure: var[str] = var("accuracy")
    run_id: var[str | None] = var(None)

    def __init__(self, arm: str, glyphs: GlyphSet) -> None:
        """Take the arm's name, and what lines are made of."""
        super().__init__(glyphs, name_id="curve", classes="box")
        self.arm = arm

    def on_mount(self) -> None:
        """Draw, and follow what the curves depend on."""
        redraw_on_change(self, self.SHOWS, self.redraw)

    def on_resize(self, event: events.Resize) -> None:
        """Draw for another size."""
        self.redraw()

    def redraw(self) -> None:
        """Make the title and the curves as they are now."""
        found = find_run(self.picture, self.arm, self.run_id)
        if found is None or self.picture is None:
            self.curves = ()
            return
        number, replica, _ = found
        ways = (" before the arm's mean and bands", " before its arm", "")
        titles = [f"Replica {replica}{before}: {name_figure(self.measure)}" for before in ways]
        set_border_title(self, next((title for title in titles if len(title) + 2 <= self.size.width), titles[-1]))
        arm = self.picture.snapshot.arms[number]
        whole = make_curve(self.picture.series[arm.name], self.measure, number, diverged=arm.diverged_epochs)
        lines = self.picture.replicas.get(self.measure, ()) if self.picture.focus == self.arm else ()
        own = lines[replica - 1] if replica <= len(lines) else ()
        band = replace(whole, middle=[None] * len(whole.middle), replicas=(whole.middle,), label="")
        self.curves = (band, Curve(arm.name, number, own, label=f"replica {replica}"))
        value = own[self.epoch - 1] if self.epoch <= len(own) else None
        read = "" if value is None else f"epoch {self.epoch}: {value:.2f}"
        if self.border_subtitle != read:
            self.border_subtitle = read


class RunDetails(LinesPane):
    """Says what there is to know of the run under the cursor."""

    SHOWS = ("picture", "run_id", "facts")
    picture: var[Picture | None] = var(None)
    run_id: var[str | None] = var(None)
    facts: var[RunFacts | None] = var(None)

    def __init__(self, arm: str, symbols: Symbols) -> None:
        """Take the arm's name, and what can be shown."""
        super().__init__(name_id="facts", classes="box", cursor=False)
        self.arm, self.symbols = arm, symbols

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines."""
        set_border_title(self, "About it")
        found = find_run(self.picture, self.arm, self.run_id)
        if found is None:
            return ()
        return fact_lines(found[1], found[2], self.facts, width=width, symbols=self.symbols)
