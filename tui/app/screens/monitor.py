"""A study while it runs: the spread of each arm's replicas by epoch, the arms' measures, the runs and slots."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.control import Verb
from engine.study.paths import StudyPaths
from engine.study.view import ArmView
from tui.app.asking import ask
from tui.app.follow import Follower, Picture
from tui.app.gpus import describe_gpus
from tui.app.messages import ContinueStudy, OpenResults, StudyEnded
from tui.app.options import Options, may_change
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Confirm
from tui.app.screens.monitor_lines import describe_run
from tui.app.screens.monitor_panes import ArmList, ArmPlot, Heading, Readout, RunList
from tui.app.screens.run_menu import offer_run
from tui.app.widgets.lines import LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.plotview import PlotView
from tui.app.widgets.titles import Keys
from tui.text.format import UNICODE, Symbols

NARROW_COLUMNS, LOW_ROWS = 100, 30
"""Below these, arms and runs share one place, as two pages."""

ARM_VERBS: tuple[Verb, ...] = ("pause", "resume", "cancel")
GPU_PERIOD_S = 2.0


@dataclass
class PictureTaken(Message):
    """Brings what was read of the study."""

    picture: Picture
    gpus: tuple[str, ...]


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

    picture: var[Picture | None] = var(None)
    """The study as it was last read."""
    gpus: var[tuple[str, ...]] = var(())
    """A line per GPU."""
    fault: var[str | None] = var(None)
    """Why the study could not be read the last time."""
    age_s: var[int] = var(0)
    """How old the picture is."""
    held: var[bool] = var(False)
    """The picture is kept while the study goes on."""
    measure: var[str] = var("accuracy")
    spread: var[bool] = var(False)
    """Whether the plot shows the SD of the measure instead of the measure."""
    log_scale: var[bool] = var(False)
    hidden: var[frozenset[str]] = var(frozenset())
    """Arms that the plot leaves out."""
    top: var[str | None] = var(None)
    """The arm under the cursor."""
    epoch: var[int] = var(2)
    """Where the plot says that values are to be read."""
    small: var[bool] = var(False, toggle_class="-small")
    """Arms and runs share one place."""
    symbols: var[Symbols] = var(UNICODE)
    """The characters that texts are made of."""
    page: var[Literal["arms", "runs"]] = var("arms")
    """Which of both is seen there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("r", "results", "Results"),
        Binding("p", "pause", "Pause study"),
        Binding("x", "cancel", "Cancel study"),
        Binding("m", "measure", "Measure"),
        Binding("s", "spread", "SD"),
        Binding("L", "log_scale", "Log-y"),
        Binding("space", "hold", "Hold view"),
        Binding("a", "arms", "Hide arm"),
        Binding("left_square_bracket", "cursor(-1)", "Cursor", key_display="[ ]"),
        Binding("right_square_bracket", "cursor(1)", "Cursor right", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Zoom", key_display="+ -"),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("less_than_sign", "pan(-5)", "Pan left", show=False),
        Binding("greater_than_sign", "pan(5)", "Pan right", show=False),
        Binding("0", "reset", "Whole plot", show=False),
        Binding("tab", "page", "Arms/Runs", show=False),
        Binding("C", "go_on", "Continue study", show=False),
    ]

    def __init__(self, paths: StudyPaths, options: Options) -> None:
        """Take the study; nothing of it is read yet."""
        super().__init__()
        self.paths, self.options = paths, options
        self.set_reactive(MonitorScreen.symbols, options.symbols)
        self.reading = False
        self.read_at, self.was_finished = 0.0, True
        # What follows belongs to the thread that reads.
        self._follower: Follower | None = None
        self._gpus: tuple[str, ...] = ()
        self._gpus_at = 0.0

    def compose(self) -> ComposeResult:
        """Lay out heading, plot, readout, arms beside runs, and keys."""
        cls = MonitorScreen
        yield Heading(self.paths.name).data_bind(cls.picture, cls.fault, cls.held, cls.age_s)
        yield ArmPlot(self.options.glyphs, name_id="plot", classes="box").data_bind(
            cls.picture, cls.measure, cls.spread, cls.log_scale, cls.hidden, cls.top
        )
        yield Readout(id="readout").data_bind(cls.picture, cls.measure, cls.hidden, cls.epoch, cls.symbols)
        with Horizontal(id="below"):
            yield ArmList(name_id="arms", classes="box").data_bind(cls.picture, cls.fault, cls.hidden, cls.symbols)
            yield RunList(name_id="runs", classes="box").data_bind(cls.picture, cls.gpus, cls.symbols)
        yield Keys()

    def on_mount(self) -> None:
        """Read the study now, and again whenever the clock strikes."""
        self.query_one("#arms").focus()
        # Not by a message: the readout would be sent with the last epoch first, then with this one.
        self.watch(self.query_one(PlotView), "epoch", self.read_at_epoch)
        self.look()
        self.set_interval(self.options.refresh_s, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        """Find out whether there is room for arms beside runs."""
        self.small = self.size.width < NARROW_COLUMNS or self.size.height < LOW_ROWS

    def on_screen_resume(self) -> None:
        """Read the study at once where another screen was in front of it."""
        self.look()

    def watch_page(self, page: str) -> None:
        """Bring the other page to the front; which it is matters only where there is little room."""
        self.set_class(page == "runs", "-runs")

    # Reading -------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self.app.screen is self:
            self.age_s = int(time.monotonic() - self.read_at) if self.picture is not None else 0
            if not self.held:
                self.look()

    def look(self) -> None:
        """Start to read the study, unless that is going on: two readers would count the same epochs twice."""
        if not self.reading:
            self.reading = True
            self._read()

    @work(thread=True, group="look")
    def _read(self) -> None:
        """Read the study outside the event loop: file systems may take their time."""
        try:
            self._follower = self._follower or Follower(self.paths)
            picture = self._follower.look()
        except NondetError as error:
            self.post_message(ReadingFailed(str(error)))
            return
        if time.monotonic() - self._gpus_at >= GPU_PERIOD_S:
            self._gpus, self._gpus_at = tuple(describe_gpus()), time.monotonic()
        self.post_message(PictureTaken(picture, self._gpus))

    def on_reading_failed(self, event: ReadingFailed) -> None:
        """Show why the study cannot be read."""
        self.reading, self.fault = False, event.reason

    def on_picture_taken(self, event: PictureTaken) -> None:
        """Show what was read, and tell the end of the study once."""
        picture, first = event.picture, self.picture is None
        self.reading, self.fault, self.gpus = False, None, event.gpus
        self.read_at, self.age_s = time.monotonic(), 0
        if first and "perplexity" in picture.measures:
            self.measure = "perplexity"
        elif picture.measures and self.measure not in picture.measures:
            self.measure = picture.measures[0]
        self.picture = picture
        ended = picture.snapshot.finished and not picture.snapshot.supervised
        if ended and not self.was_finished:
            done, total = picture.snapshot.counts.get("done", 0), len(picture.snapshot.runs)
            self.post_message(StudyEnded(picture.snapshot.study, done, total))
        if ended != self.was_finished:
            self.was_finished = ended
            self.refresh_bindings()

    # What the parts tell -------------------------------------------------------------------------------------------

    def read_at_epoch(self, epoch: int) -> None:
        """Take the epoch that the plot points at."""
        self.epoch = epoch

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Draw the arm under the cursor on top."""
        event.stop()
        if event.view.id == "arms":
            self.top = event.key

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """List the runs of an arm."""
        event.stop()
        if self.picture is None:
            return
        arm = next(arm for arm in self.picture.snapshot.arms if arm.name == event.key)
        rows = [(run.id, describe_run(number, run)) for number, run in enumerate(arm.runs, start=1)]
        if not (self.options.readonly or self.was_finished):
            rows += [(verb, f"      {verb} every run of this arm that has not ended") for verb in ARM_VERBS]
        runs = {run.id: run for run in arm.runs}

        def opened(key: str | None) -> None:
            if key in ARM_VERBS:
                self.ask_arm(arm, key)
            elif key is not None:
                offer_run(self.app, self.paths, runs[key], readonly=self.options.readonly)

        title = f"{printable(arm.name)}: replica, state, epoch, accuracy   (Enter opens the log and its actions)"
        self.app.push_screen(Choose(title, rows), opened)

    # What keys do --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to pause or cancel a study only until it has ended."""
        return action not in ("pause", "cancel") or not self.was_finished

    def action_measure(self) -> None:
        """Put the next measure on the y-axis."""
        if self.picture is not None and self.picture.measures:
            found = self.picture.measures
            self.measure = found[(found.index(self.measure) + 1) % len(found) if self.measure in found else 0]

    def action_spread(self) -> None:
        """Put the SD over replicas on the y-axis, or the measure itself again."""
        self.spread = not self.spread

    def action_log_scale(self) -> None:
        """Make the y-axis logarithmic, or linear again."""
        self.log_scale = not self.log_scale

    def action_arms(self) -> None:
        """Hide the arm under the cursor in the plot, or show it again."""
        name = self.query_one(ArmList).key
        if name is not None:
            self.hidden ^= {name}

    def action_cursor(self, epochs: int) -> None:
        """Move the cursor that reads values."""
        self.query_one(PlotView).move_cursor(epochs)

    def action_zoom(self, factor: float) -> None:
        """Show fewer epochs, or more."""
        self.query_one(PlotView).zoom(factor)

    def action_pan(self, epochs: int) -> None:
        """Show other epochs."""
        self.query_one(PlotView).pan(epochs)

    def action_reset(self) -> None:
        """Show the whole plot, without a cursor."""
        self.query_one(PlotView).reset()

    def action_hold(self) -> None:
        """Keep what is shown while the study goes on, or follow it again."""
        self.held = not self.held
        if not self.held:
            self.look()

    def action_page(self) -> None:
        """Bring the runs to the front, or the arms; where both are seen, only the focus moves."""
        self.page = "runs" if self.page == "arms" else "arms"
        self.query_one(f"#{self.page}").focus()

    def action_results(self) -> None:
        """Show the measures so far."""
        self.post_message(OpenResults(self.paths))

    def action_pause(self) -> None:
        """Hold the training of the study, or let it go on."""
        if self.picture is None or not may_change(self, self.options):
            return
        paused = self.picture.snapshot.control.paused
        said = "going on" if paused else "pausing: running epochs wait where they are"
        ask(self, self.paths, "resume" if paused else "pause", said)
        self.look()

    def action_cancel(self) -> None:
        """Stop the study; finished runs are kept."""
        if not may_change(self, self.options):
            return

        def stop(yes: bool | None) -> None:
            if yes:
                ask(self, self.paths, "cancel", "stopping; finished runs are kept, C continues")

        self.app.push_screen(Confirm(f"Stop {printable(self.paths.name)}? Finished runs are kept."), stop)

    def action_go_on(self) -> None:
        """Train what is missing."""
        self.post_message(ContinueStudy(self.paths))

    def ask_arm(self, arm: ArmView, verb: Verb) -> None:
        """Make a request about every run of an arm; runs that another arm shares are meant too."""
        runs = [run.id for run in arm.runs if run.state.status != "done"]
        ask(self, self.paths, verb, f"asked the runs of {printable(arm.name)} to {verb}", runs=runs)
        self.look()
