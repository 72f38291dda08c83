"""A study while it runs: the spread of each arm's replicas by epoch, the arms' measures, the runs and slots."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.control import Verb
from engine.study.paths import StudyPaths
from tui.app.asking import ask, ask_to_stop
from tui.app.follow import Follower, Picture
from tui.app.machine import Gauge, Machine
from tui.app.messages import ContinueStudy, OpenResults, StudyEnded
from tui.app.options import Options, may_change
from tui.app.reading import Reading
from tui.app.screens.dialogs import Confirm
from tui.app.screens.monitor_keys import GROUPS, KEYS, PANES
from tui.app.screens.monitor_layout import LOW_ROWS, NARROW_COLUMNS, Page, Plot, choose_plots, count_list_rows
from tui.app.screens.monitor_panes import ArmList, Heading, NowList, Readout, Verdict
from tui.app.screens.monitor_plots import (
    NAMES,
    ArmPlot,
    MonitorPlot,
    RoundsPlot,
    SpreadPlot,
)
from tui.app.screens.runs import RunsScreen
from tui.app.widgets.lines import LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.titles import Keys, number_boxes
from tui.text.format import UNICODE, Symbols


@dataclass
class PictureTaken(Message):
    """Brings what was read of the study."""

    picture: Picture
    gauges: tuple[Gauge, ...]


@dataclass
class ReadingFailed(Message):
    """Brings why the study could not be read."""

    reason: str


class MonitorScreen(Screen[None]):
    """Shows a study while it runs.

    A clock has the study read in a thread, which posts `PictureTaken` or `ReadingFailed`. Keys change the other
    attributes. Each part of the screen is bound to the attributes that it shows, and draws itself when one changes.
    """

    app = getters.app(app_class)
    covered = 0  # rows at the foot that something stands on

    picture: var[Picture | None] = var(None)
    """The study as it was last read."""
    gauges: var[tuple[Gauge, ...]] = var(())
    """How busy the machine is."""
    fault: var[str | None] = var(None)
    """Why the study could not be read the last time."""
    age_s: var[int] = var(0)
    """How old the picture is."""
    held: var[bool] = var(False)
    """The picture is kept while the study goes on."""
    measure: var[str] = var("accuracy")
    log_spread: var[bool | None] = var(None)
    """Whether the axis of spreads is logarithmic; None leaves that to the values."""
    log_arm: var[bool | None] = var(None)
    """The same of one arm's axis."""
    front: var[Plot] = var[Plot]("spread")
    """The picture that keys act on; the only one where there is little room."""
    full: var[bool] = var(False, toggle_class="-full")
    """Whether that picture has the whole screen."""
    hidden: var[frozenset[str]] = var(frozenset())
    """Arms that the plot leaves out."""
    top: var[str | None] = var(None)
    """The arm under the cursor."""
    epoch: var[int] = var(2)
    """Where the plot says that values are to be read."""
    cursor: var[int | None] = var(None)
    """The epoch that somebody pointed at."""
    narrow: var[bool] = var(False, toggle_class="-narrow")
    """One picture is seen at a time."""
    small: var[bool] = var(False, toggle_class="-small")
    """Arms and runs share one place."""
    symbols: var[Symbols] = var(UNICODE)
    """The characters that texts are made of."""
    page: var[Page] = var[Page]("arms")
    """Which of both is seen there."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    KEY_GROUPS = GROUPS
    """How help lists the keys."""

    def __init__(self, paths: StudyPaths, options: Options) -> None:
        """Take the study; nothing of it is read yet."""
        super().__init__()
        self.paths, self.options = paths, options
        self.set_reactive(MonitorScreen.symbols, options.symbols)
        self.reading = Reading(lambda: self._read(self.top))
        self.read_at, self.was_finished = 0.0, True
        # What follows belongs to the thread that reads.
        self._follower: Follower | None = None
        self._machine = Machine()

    def compose(self) -> ComposeResult:
        """Lay out heading, the two pictures, readout, arms beside what happens now, and keys."""
        cls = MonitorScreen
        yield Heading(self.paths.name, self.options).data_bind(cls.picture, cls.fault, cls.held, cls.age_s, cls.symbols)
        with Horizontal(id="plots"):
            for plot, log in ((SpreadPlot, cls.log_spread), (ArmPlot, cls.log_arm)):
                yield plot(self.options.glyphs, name_id=NAMES[plot], classes="box").data_bind(
                    cls.picture, cls.measure, cls.hidden, cls.top, log_axis=log, epoch_read=cls.cursor
                )
            yield RoundsPlot(self.options.glyphs, name_id="rounds", classes="box").data_bind(cls.picture)
        yield Readout(id="readout").data_bind(cls.picture, cls.measure, cls.top, cls.epoch, cls.symbols)
        with Horizontal(id="below"):
            yield ArmList(name_id="arms", classes="box").data_bind(cls.picture, cls.fault, cls.hidden, cls.symbols)
            yield NowList(name_id="runs", classes="box").data_bind(cls.picture, cls.gauges, cls.symbols)
        yield Verdict(id="verdict").data_bind(cls.picture, cls.top, cls.symbols)
        yield Keys()

    def on_mount(self) -> None:
        """Read the study now, and again whenever the clock strikes."""
        self.query_one("#arms").focus()
        number_boxes(self, PANES)
        plot = self.query_one(SpreadPlot)
        # Not by a message: the readout would be sent with the last epoch first, then with this one.
        self.watch(plot, "epoch", self.read_at_epoch)
        for name in ("first", "last", "cursor"):
            self.watch(plot, name, self.follow_epochs, init=False)
        self.watch_front()
        self.reading.ask()
        self.set_interval(self.options.refresh_s, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        """Find out whether there is room for pictures, and for arms and runs, beside each other."""
        self.small = self.size.width < NARROW_COLUMNS or self.size.height < LOW_ROWS
        self.narrow = self.size.width < NARROW_COLUMNS
        self.share_height()
        self.place_pictures()

    def watch_picture(self, before: Picture | None, _: Picture | None) -> None:
        """Give the lists the rows that they need, as far as there is room; begin with what the study asks."""
        self.share_height()
        if before is None and self.decides:
            self.front = "rounds"
        self.place_pictures()

    def share_height(self) -> None:
        """Leave to the pictures the rows that the lists do not fill."""
        if self.picture is None:
            return
        page, height = self.page if self.small else None, self.size.height
        rows = count_list_rows(self.picture, len(self.gauges), page=page, rows=height, covered=self.covered)
        below = self.query_one("#below")
        if below.styles.height is None or below.styles.height.value != rows:
            below.styles.height = rows

    def on_screen_resume(self) -> None:
        """Read the study at once where another screen was in front of it."""
        self.reading.ask()

    def watch_page(self, page: str) -> None:
        """Bring the other page to the front; which it is matters only where there is little room."""
        self.set_class(page == "runs", "-runs")
        self.share_height()

    @property
    def decides(self) -> bool:
        """Tell whether the study trains pairs of replicas until the difference of two arms is decided."""
        compare = None if self.picture is None else self.picture.snapshot.compare
        return compare is not None and compare.until_decided

    def watch_front(self) -> None:
        """Show which picture keys act on."""
        for plot in self.query(MonitorPlot):
            plot.active = plot.id == self.front
        self.place_pictures()

    def watch_full(self) -> None:
        """Show one picture, or those that there is room for."""
        self.place_pictures()

    def place_pictures(self) -> None:
        """Show the pictures that there is room for, the one in front among them."""
        seen = choose_plots(self.front, self.size.width, alone=self.narrow or self.full, decides=self.decides)
        for plot in self.query(MonitorPlot):
            plot.display = plot.id in seen

    # Reading -------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self.app.screen is self:
            self.age_s = int(time.monotonic() - self.read_at) if self.picture is not None else 0
            if not self.held:
                self.reading.ask()

    @work(thread=True, group="look")
    def _read(self, focus: str | None) -> None:
        """Read the study outside the event loop: file systems may take their time."""
        try:
            self._follower = self._follower or Follower(self.paths)
            picture = self._follower.look(focus)
        except NondetError as error:
            self.post_message(ReadingFailed(str(error)))
            return
        gauges = self._machine.look() if picture.snapshot.supervised else ()
        self.post_message(PictureTaken(picture, gauges))

    def on_reading_failed(self, event: ReadingFailed) -> None:
        """Show why the study cannot be read."""
        self.fault = event.reason
        self.reading.fail()

    def on_picture_taken(self, event: PictureTaken) -> None:
        """Show what was read, and tell the end of the study once."""
        picture, first = event.picture, self.picture is None
        self.fault = None
        if picture != self.picture:  # where nothing happens, nothing is sent
            self.gauges = event.gauges
        self.read_at, self.age_s = time.monotonic(), 0
        if first and "perplexity" in picture.measures:
            self.measure = "perplexity"
        elif picture.measures and self.measure not in picture.measures:
            self.measure = picture.measures[0]
        if first and picture.focus is not None:
            self._begin_at(picture.focus)
        self.picture = picture
        ended = picture.snapshot.finished and not picture.snapshot.supervised
        if ended and not self.was_finished:
            counts, total = picture.snapshot.counts, len(picture.snapshot.runs)
            ended_as = StudyEnded(picture.snapshot.study, counts.get("done", 0), total, counts.get("failed", 0))
            self.post_message(ended_as)
        self.was_finished = ended
        self.reading.end()

    def _begin_at(self, arm: str) -> None:
        """Put the cursor on an arm before there are lines, so that no other arm is drawn first."""
        self.top, arms = arm, self.query_one(ArmList)
        arms.set_reactive(ArmList.key, arm)
        self.call_after_refresh(arms.move_to, arm)

    # What the parts tell -------------------------------------------------------------------------------------------

    def read_at_epoch(self, epoch: int) -> None:
        """Take the epoch that the plot points at."""
        self.epoch = epoch

    def follow_epochs(self) -> None:
        """Show the same epochs in both pictures."""
        plot = self.query_one(SpreadPlot)
        self.query_one(ArmPlot).follow(plot)
        self.cursor = plot.cursor

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Draw the arm under the cursor in front, and alone; its replicas are read first."""
        event.stop()
        if event.view.id == "arms" and event.key != self.top:
            self.top = event.key
            self.reading.ask()

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Open the runs of an arm."""
        event.stop()
        if self.picture is not None and self._follower is not None:
            self.app.push_screen(RunsScreen(self.paths, self.options, event.key, self._follower, self.picture))

    def on_click(self, event: events.Click) -> None:
        """Bring a picture that is clicked to the front."""
        if isinstance(event.widget, MonitorPlot):
            self.front = NAMES[type(event.widget)]

    # What keys do --------------------------------------------------------------------------------------------------

    def action_measure(self) -> None:
        """Put the next measure on the y-axis."""
        if self.picture is not None:
            self.measure = self.picture.next_measure(self.measure)

    def action_other_picture(self) -> None:
        """Bring the other picture to the front: keys act on it, and where there is little room it is the one shown."""
        pictures: list[Plot] = ["spread", "arm", *(["rounds"] if self.decides else [])]
        self.front = pictures[(pictures.index(self.front) + 1) % len(pictures)]

    def action_full(self) -> None:
        """Give the picture that keys act on the whole screen, or its place again."""
        self.full = not self.full

    def action_back(self) -> None:
        """Leave the whole-screen picture, else the screen."""
        if self.full:
            self.full = False
        else:
            self.app.pop_screen()

    def action_log_scale(self) -> None:
        """Make the axis of the picture logarithmic, or linear again."""
        if self.front == "spread":
            self.log_spread = not self.query_one(SpreadPlot).log_scale
        elif self.front == "rounds":
            self.notify("differences have a linear axis: they may be below 0")
        else:
            self.log_arm = not self.query_one(ArmPlot).log_scale

    def action_arms(self) -> None:
        """Hide the arm under the cursor in the plot, or show it again."""
        name = self.query_one(ArmList).key
        if name is not None:
            self.hidden ^= {name}

    def action_cursor(self, epochs: int) -> None:
        """Move the cursor that reads values."""
        self.query_one(SpreadPlot).move_cursor(epochs)

    def action_zoom(self, factor: float) -> None:
        """Show fewer epochs, or more."""
        self.query_one(SpreadPlot).zoom(factor)

    def action_zoom_values(self, factor: float) -> None:
        """Show the values of the picture larger, or smaller."""
        self.query_one(f"#{self.front}", MonitorPlot).zoom_values(factor)

    def action_pan(self, epochs: int) -> None:
        """Show other epochs."""
        self.query_one(SpreadPlot).pan(epochs)

    def action_reset(self) -> None:
        """Show whole plots, without a cursor."""
        for plot in self.query(MonitorPlot):
            plot.reset()

    def action_hold(self) -> None:
        """Keep what is shown while the study goes on, or follow it again."""
        self.held = not self.held
        if not self.held:
            self.reading.ask()

    def action_page(self) -> None:
        """Bring the runs to the front, or the arms; where both are seen, only the focus moves."""
        self.page = "runs" if self.page == "arms" else "arms"
        self.query_one(f"#{self.page}").focus()

    def action_pane_at(self, place: int) -> None:
        """Go to a pane by its place among them: keys act on a picture, the cursor is in a list."""
        pane = PANES[place]
        if pane == "rounds" and not self.decides:
            self.notify("this study does not train until two arms are told apart")
            return
        plots: list[Plot] = [plot for plot in NAMES.values() if plot == pane]
        if plots:
            self.front = plots[0]
        else:
            self.full, self.page = False, "arms" if pane == "arms" else "runs"
            self.query_one(f"#{pane}").focus()

    def action_results(self) -> None:
        """Show the measures so far."""
        self.post_message(OpenResults(self.paths))

    def action_pause(self) -> None:
        """Hold the training of the study, or let it go on."""
        if self.picture is None or self.has_ended("pause") or not may_change(self, self.options):
            return
        paused = self.picture.snapshot.control.paused
        said = "going on" if paused else "pausing: running epochs wait where they are"
        ask(self, self.paths, "resume" if paused else "pause", said)
        self.reading.ask()

    def action_cancel(self) -> None:
        """Stop the study; finished runs are kept."""
        if self.has_ended("cancel") or not may_change(self, self.options):
            return

        def stop(yes: bool | None) -> None:
            if yes:
                ask_to_stop(self, self.paths, "stopping; finished runs are kept, C continues")

        self.app.push_screen(Confirm(f"Stop {printable(self.paths.name)}? Finished runs are kept."), stop)

    def has_ended(self, verb: Verb) -> bool:
        """Tell whether the study has ended, and say then that there is nothing to pause or cancel."""
        if self.was_finished:
            self.notify(f"the study has ended: nothing is left to {verb}")
        return self.was_finished

    def action_go_on(self) -> None:
        """Train what is missing."""
        self.post_message(ContinueStudy(self.paths))
