"""A study while it runs: the spread of each arm's replicas by epoch, the arms' measures, the runs and slots."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.worker import get_current_worker

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.control import Verb, request
from engine.study.paths import StudyPaths
from engine.study.view import ArmView
from tui.app.follow import Follower, Picture
from tui.app.gpus import describe_gpus
from tui.app.host import host
from tui.app.screens.dialogs import Choose, Confirm
from tui.app.screens.monitor_lines import arm_lines, describe_figures, describe_run, run_lines
from tui.app.widgets.lines import LinesView, wrap_lines
from tui.app.widgets.plotview import PlotView, arm_style
from tui.app.widgets.titles import Keys, TextLine, set_border_title
from tui.text.format import UNICODE, describe_state, fit_name, format_seconds, shorten
from tui.text.series import MEASURES, Curve, count_ended, make_curve

NARROW_COLUMNS, LOW_ROWS = 100, 30
"""Below these, arms and runs share one place, as two pages."""

ARM_VERBS: tuple[Verb, ...] = ("pause", "resume", "cancel")
GPU_PERIOD_S = 2.0


class MonitorScreen(Screen[None]):
    """See the module."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("r", "results", "Results"),
        Binding("m", "measure", "Measure"),
        Binding("s", "spread", "SD"),
        Binding("L", "log_scale", "Log-y"),
        Binding("a", "arms", "Arms"),
        Binding("left_square_bracket", "cursor(-1)", "Cursor", key_display="[ ]"),
        Binding("right_square_bracket", "cursor(1)", "Cursor right", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Zoom", key_display="+ -"),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("less_than_sign", "pan(-5)", "Pan left", show=False),
        Binding("greater_than_sign", "pan(5)", "Pan right", show=False),
        Binding("0", "reset", "Whole plot", show=False),
        Binding("space", "hold", "Hold view"),
        Binding("tab", "page", "Arms/Runs", show=False),
        Binding("p", "pause", "Pause study"),
        Binding("x", "cancel", "Cancel study"),
        Binding("C", "go_on", "Continue study", show=False),
    ]

    def __init__(self, paths: StudyPaths) -> None:
        """Nothing is read yet."""
        super().__init__()
        self.paths = paths
        self.follower: Follower | None = None
        self.picture: Picture | None = None
        self.reading = threading.Lock()
        self.measure, self.spread, self.held = "accuracy", False, False
        self.hidden: set[str] = set()
        self.looked_at, self.was_finished = 0.0, True
        self.gpus: list[str] = []
        self.gpus_at = 0.0
        self.page = "arms"
        self.fault: str | None = None

    def compose(self) -> ComposeResult:
        """Title, plot, readout, arms beside runs, keys."""
        yield TextLine(Text(f" {printable(self.paths.name)}   reading …"), id="title", classes="title")
        with Vertical(id="plot-box", classes="box"):
            yield PlotView(name_id="plot")
        yield TextLine("", id="readout")
        with Horizontal(id="below"):
            with Vertical(id="arms-box", classes="box"):
                yield LinesView(name_id="arms")
            with Vertical(id="runs-box", classes="box"):
                yield LinesView(name_id="runs")
        yield Keys()

    def on_mount(self) -> None:
        """Look now, and again every second."""
        self.query_one("#arms-box").border_title = "Arms"
        self.query_one("#runs-box").border_title = "Runs"
        plot = self.query_one(PlotView)
        plot.glyphs = host(self).terminal.glyphs
        self.query_one("#arms", LinesView).focus()
        self.lay_out()
        self.look()
        self.set_interval(host(self).settings.refresh_s, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        """Other sizes have other places for arms and runs."""
        self.lay_out()
        self.show()

    def on_screen_resume(self) -> None:
        """Back from another screen: look at once."""
        self.look()

    def lay_out(self) -> None:
        """One of two pages where there is little room."""
        small = self.size.width < NARROW_COLUMNS or self.size.height < LOW_ROWS
        self.query_one("#arms-box").display = not small or self.page == "arms"
        self.query_one("#runs-box").display = not small or self.page == "runs"

    def _tick(self) -> None:
        if self.app.screen is self and not self.held:
            self.look()
        elif self.app.screen is self:
            self._show_title()

    @work(thread=True, exclusive=True, group="look")
    def look(self) -> None:
        """Read the study outside the event loop: file systems may take their time."""
        worker = get_current_worker()
        try:
            # A thread cannot be stopped: a look that has been overtaken may still be reading.
            with self.reading:
                if worker.is_cancelled:
                    return
                if self.follower is None:
                    self.follower = Follower(self.paths)
                picture = self.follower.look()
        except NondetError as error:
            self.app.call_from_thread(self._fail, str(error))
            return
        if time.monotonic() - self.gpus_at >= GPU_PERIOD_S:
            self.gpus, self.gpus_at = describe_gpus(), time.monotonic()
        self.app.call_from_thread(self._take, picture)

    def _fail(self, message: str) -> None:
        self.fault = message
        self.query_one("#title", TextLine).show(Text(f" {UNICODE.failed} {printable(message)}", style="bold"))
        if self.picture is None:
            arms = self.query_one("#arms", LinesView)
            arms.set_lines(wrap_lines(message, arms.size.width))

    def _take(self, picture: Picture) -> None:
        self.fault = None
        ended = picture.snapshot.finished and not picture.snapshot.supervised
        if ended and not self.was_finished:
            done, total = picture.snapshot.counts.get("done", 0), len(picture.snapshot.runs)
            host(self).tell_end(picture.snapshot.study, done, total)
        self.was_finished = ended
        first, self.picture, self.looked_at = self.picture is None, picture, time.monotonic()
        if picture.measures and self.measure not in picture.measures:
            self.measure = picture.measures[0]
        if first and "perplexity" in picture.measures:
            self.measure = "perplexity"
        self.show()

    # What is shown -------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Bring every part up to date; parts that have not changed draw nothing."""
        if self.picture is None:
            return
        self._show_title()
        plot = self.query_one(PlotView)
        _, title = MEASURES[self.measure]
        what = (
            f"SD of {title} over replicas" if self.spread else f"{title}  (░ least–most, ▒ ±SD, line mean, · replica 1)"
        )
        set_border_title(self.query_one("#plot-box"), what + ("  log" if plot.log_scale else ""))
        arms, runs, theme = self.query_one("#arms", LinesView), self.query_one("#runs", LinesView), self.app.theme
        explained = f"   {UNICODE.diverged} diverged: loss not finite" if self.picture.snapshot.diverged else ""
        set_border_title(self.query_one("#arms-box"), f"Arms{explained}")
        set_border_title(self.query_one("#runs-box"), f"Runs{explained}")
        arms.set_lines(arm_lines(self.picture, hidden=self.hidden, width=arms.size.width, theme=theme))
        plot.show_curves(self.make_curves(self.picture))
        self._show_readout()
        runs.set_lines(run_lines(self.picture, self.gpus, room=max(10, runs.size.width - 9), theme=theme))

    def make_curves(self, picture: Picture) -> list[Curve]:
        """Every arm that is not hidden, in its own colour; the arm under the cursor on top."""
        top = self.query_one("#arms", LinesView).key
        curves, room = [], 16 if self.size.width >= 160 else 12 if self.size.width >= NARROW_COLUMNS else 5
        for number, arm in enumerate(picture.snapshot.arms):
            if arm.name not in self.hidden:
                reference = picture.references.get(arm.name, ()) if self.measure == "accuracy" else ()
                series = picture.series[arm.name]
                ends = arm.diverged_epochs
                one = make_curve(series, self.measure, number, spread=self.spread, reference=reference, diverged=ends)
                curves.append(replace(one, label=f"{fit_name(arm.name, room)} {one.label}" if one.label else ""))
        return sorted(curves, key=lambda curve: curve.name == top)

    def _show_title(self) -> None:
        if self.picture is None or self.fault is not None:
            return
        snapshot = self.picture.snapshot
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
        age = time.monotonic() - self.looked_at
        if self.held:
            parts.append("view held")
        if age > 3:
            parts.append(f"updated {format_seconds(age)} ago")
        self.query_one("#title", TextLine).show(Text(" " + "   ".join(parts), style="bold", no_wrap=True))

    def _show_readout(self) -> None:
        plot, picture = self.query_one(PlotView), self.picture
        if picture is None:
            return
        text = Text(no_wrap=True)
        epoch = plot.cursor or plot.end
        text.append(f" epoch {epoch}" if picture.measures else " no epoch has ended yet")
        for number, arm in enumerate(picture.snapshot.arms):
            found = picture.series[arm.name].at(self.measure, epoch)
            if found is None or arm.name in self.hidden:
                continue
            text.append("   ")
            text.append(shorten(printable(arm.name), 14), arm_style(number, self.app.theme))
            text.append(f" {describe_figures(found, count_ended(self.measure, epoch, arm.diverged_epochs))}")
        self.query_one("#readout", TextLine).show(text)

    # What keys do --------------------------------------------------------------------------------------------------

    def action_measure(self) -> None:
        """The next measure on the y-axis."""
        if self.picture is not None and self.picture.measures:
            found = self.picture.measures
            self.measure = found[(found.index(self.measure) + 1) % len(found) if self.measure in found else 0]
            self.show()

    def action_spread(self) -> None:
        """The SD over replicas itself as the y-axis, or the measure again."""
        self.spread = not self.spread
        self.show()

    def action_log_scale(self) -> None:
        """A logarithmic y-axis, or a linear one again."""
        plot = self.query_one(PlotView)
        plot.log_scale = not plot.log_scale
        plot.refresh()
        self.show()

    def action_arms(self) -> None:
        """Hide the arm under the cursor in the plot, or show it again."""
        name = self.query_one("#arms", LinesView).key
        if name is not None:
            self.hidden ^= {name}
            self.show()

    def action_cursor(self, epochs: int) -> None:
        """Move the cursor that reads values."""
        self.query_one(PlotView).move_cursor(epochs)
        self._show_readout()

    def action_zoom(self, factor: float) -> None:
        """Fewer epochs, or more."""
        self.query_one(PlotView).zoom(factor)
        self._show_readout()

    def action_pan(self, epochs: int) -> None:
        """Other epochs."""
        self.query_one(PlotView).pan(epochs)
        self._show_readout()

    def action_reset(self) -> None:
        """The whole plot, without a cursor."""
        self.query_one(PlotView).reset()
        self._show_readout()

    def action_hold(self) -> None:
        """Stop changing what is shown; the study goes on."""
        self.held = not self.held
        self._show_title()
        if not self.held:
            self.look()

    def action_page(self) -> None:
        """Arms, or runs, where both have no room; else the focus goes to the other."""
        self.page = "runs" if self.page == "arms" else "arms"
        self.lay_out()
        self.query_one(f"#{self.page}", LinesView).focus()

    def action_results(self) -> None:
        """The table so far."""
        host(self).open_results(self.paths)

    def _may_change(self) -> bool:
        return host(self).may_change()

    def action_pause(self) -> None:
        """Hold the training of the study, or let it go on."""
        if self.picture is None or not self._may_change():
            return
        paused = self.picture.snapshot.control.paused
        request(self.paths, "resume" if paused else "pause")
        self.notify("going on" if paused else "pausing: running epochs wait where they are")
        self.look()

    def action_cancel(self) -> None:
        """Stop the study; finished runs are kept."""
        if not self._may_change():
            return

        def stop(yes: bool | None) -> None:
            if yes:
                request(self.paths, "cancel")
                self.notify("stopping; finished runs are kept, C continues")

        self.app.push_screen(Confirm(f"Stop {printable(self.paths.name)}? Finished runs are kept."), stop)

    def action_go_on(self) -> None:
        """Train what is missing."""
        if self._may_change():
            host(self).start_training(self.paths)

    def ask_arm(self, arm: ArmView, verb: Verb) -> None:
        """A request about every run of an arm; runs that another arm shares are meant too."""
        request(self.paths, verb, runs=[run.id for run in arm.runs if run.state.status != "done"])
        self.notify(f"asked the runs of {printable(arm.name)} to {verb}", markup=False)
        self.look()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """The arm under the cursor is drawn on top."""
        event.stop()
        self.show()

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """The runs of an arm."""
        event.stop()
        if self.picture is None:
            return
        arm = next(arm for arm in self.picture.snapshot.arms if arm.name == event.key)
        rows = [(run.id, describe_run(number, run)) for number, run in enumerate(arm.runs, start=1)]
        if not host(self).readonly:
            rows += [(verb, f"      {verb} every run of this arm that has not ended") for verb in ARM_VERBS]

        def opened(run_id: str | None) -> None:
            if run_id in ARM_VERBS:
                self.ask_arm(arm, run_id)
            elif run_id is not None:
                host(self).open_run(self.paths, run_id)

        title = f"{printable(arm.name)}: replica, state, epoch, accuracy   (Enter opens the log and its actions)"
        self.app.push_screen(Choose(title, rows), opened)
