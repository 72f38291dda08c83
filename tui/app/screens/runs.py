"""The runs of one arm: each with its curve against the arm's band, what its recipe has of its own, and its log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen

from engine.dispatch.start import retry_run
from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.control import Verb
from engine.study.paths import StudyPaths
from engine.study.snapshot import ArmView, RunView
from tui.app.asking import ask, complain
from tui.app.follow import Follower, Picture
from tui.app.options import Options, may_change
from tui.app.reading import Reading
from tui.app.run_facts import RunFacts, read_facts
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Confirm, Reader
from tui.app.screens.runs_lines import describe_retry
from tui.app.screens.runs_panes import RunDetails, RunList, RunPlot, RunsHeading
from tui.app.widgets.lines import LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.titles import Keys
from tui.text.counts import plural

ARM_VERBS: dict[Verb, str] = {"pause": "pause", "resume": "let go on", "cancel": "cancel"}


@dataclass
class RunsRead(Message):
    """Brings what was read of the study, and of the run under the cursor."""

    picture: Picture
    facts: RunFacts | None


@dataclass
class RunsUnreadable(Message):
    """Brings why the study could not be read."""

    reason: str


class RunsScreen(Screen[None]):
    """Shows the runs of one arm; what it shows is read in a thread, which posts `RunsRead`."""

    app = getters.app(app_class)

    picture: var[Picture | None] = var(None)
    measure: var[str] = var("accuracy")
    run_id: var[str | None] = var(None)
    """The run under the cursor."""
    facts: var[RunFacts | None] = var(None)
    fault: var[str] = var("")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("o", "recipe", "Recipe"),
        Binding("m", "measure", "Measure"),
        Binding("left_square_bracket", "cursor(-1)", "Epoch", key_display="[ ]"),
        Binding("right_square_bracket", "cursor(1)", "Epoch on", show=False),
        Binding("plus,equals_sign", "zoom(2)", "Epochs", key_display="+ -"),
        Binding("minus", "zoom(0.5)", "More epochs", show=False),
        Binding("asterisk", "zoom_values(2)", "Values", key_display="* _"),
        Binding("underscore", "zoom_values(0.5)", "More values", show=False),
        Binding("0", "reset", "Whole plot", show=False),
        Binding("p", "pause", "Pause run"),
        Binding("x", "cancel", "Cancel run"),
        Binding("R", "retry", "Try again"),
        Binding("a", "arm", "Whole arm"),
        Binding("slash", "search", "Search log", key_display="/"),
        Binding("tab", "app.focus_next", "Next pane", show=False),
    ]

    def __init__(self, paths: StudyPaths, options: Options, arm: str, follower: Follower, picture: Picture) -> None:
        """Take the arm, and what was read of its study so far.

        Args:
            paths: The study.
            options: What the app was started with.
            arm: The arm's name.
            follower: What reads the study.
            picture: What it read last.
        """
        super().__init__()
        self.paths, self.options, self.arm, self.follower = paths, options, arm, follower
        self.reading = Reading(lambda: self._read(self.run_id))
        self.set_reactive(RunsScreen.picture, picture)

    def compose(self) -> ComposeResult:
        """Lay out heading, the runs, the curve of one above what is known of it, and keys."""
        cls = RunsScreen
        symbols = self.options.symbols
        yield RunsHeading(self.arm, symbols).data_bind(cls.picture, cls.fault)
        with Horizontal(id="of-arm"):
            yield RunList(self.arm, symbols).data_bind(cls.picture)
            with Vertical(id="of-run"):
                yield RunPlot(self.arm, self.options.glyphs).data_bind(cls.picture, cls.measure, cls.run_id)
                yield RunDetails(self.arm, symbols).data_bind(cls.picture, cls.run_id, cls.facts)
        yield Keys()

    def on_mount(self) -> None:
        """Read the run under the cursor, and look again whenever the clock strikes."""
        self.query_one("#list").focus()
        self.reading.ask()
        self.set_interval(self.options.refresh_s, lambda: self.reading.ask() if self.app.screen is self else None)

    async def on_resize(self) -> None:
        """Let go first whatever waits: the screen has just been drawn in one go."""
        await asyncio.sleep(0)

    def on_screen_resume(self) -> None:
        """Read at once where another screen was in front of this one."""
        self.reading.ask()

    def find_arm(self) -> tuple[int, ArmView] | None:
        """Return the arm as it was last read, and its place in the protocol."""
        return None if self.picture is None else self.picture.find_arm(self.arm)

    def find_run(self) -> tuple[int, RunView] | None:
        """Return the run under the cursor, and the number of its replica from 1."""
        place = self.find_arm()
        runs = () if place is None else place[1].runs
        return next(((n, run) for n, run in enumerate(runs, start=1) if run.id == self.run_id), None)

    # Reading -------------------------------------------------------------------------------------------------------

    @work(thread=True, group="runs")
    def _read(self, run: str | None) -> None:
        """Read the study and one run outside the event loop."""
        try:
            picture = self.follower.look(self.arm)
        except NondetError as error:
            self.post_message(RunsUnreadable(str(error)))
            return
        self.post_message(RunsRead(picture, None if run is None else read_facts(self.paths, picture, self.arm, run)))

    def on_runs_read(self, event: RunsRead) -> None:
        """Show what was read."""
        self.fault = ""
        if self.measure not in event.picture.measures and event.picture.measures:
            self.measure = event.picture.measures[0]
        self.picture = event.picture
        if event.facts is not None:
            self.facts = event.facts
        self.reading.end()

    def on_runs_unreadable(self, event: RunsUnreadable) -> None:
        """Say why the study cannot be read."""
        self.fault = event.reason
        self.reading.fail()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Show another run."""
        event.stop()
        if event.view.id == "list" and event.key != self.run_id:
            self.run_id = event.key
            self.reading.ask()
            self.refresh_bindings()

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Open the log of a run."""
        event.stop()
        self.action_log()

    # What keys do --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to change a run only as long as something is left to change."""
        found = self.find_run()
        if action in ("pause", "cancel"):
            return found is not None and not found[1].state.has_ended
        return action != "retry" or (found is not None and found[1].state.can_be_tried_again)

    def action_log(self) -> None:
        """Open the latest log of the run, at its end."""
        self.open_log(search=False)

    def action_search(self) -> None:
        """Open the latest log of the run, and ask for what to look for."""
        self.open_log(search=True)

    def open_log(self, *, search: bool) -> None:
        """Open the log of the run's latest attempt."""
        found = self.find_run()
        attempts = [] if found is None else self.paths.run(found[1].id).list_attempts()
        if found is None or not attempts:
            self.notify("this run has no log: it was not tried yet")
            return
        title = f"log of replica {found[0]}, attempt {attempts[-1].number}   {printable(self.arm)}"
        reader = Reader(title, path=attempts[-1].log, follow=not search and found[1].state.status == "running")
        self.app.push_screen(reader)
        if search:
            self.app.call_later(reader.action_search)

    def action_recipe(self) -> None:
        """Open the recipe of the run."""
        found = self.find_run()
        if found is not None:
            title = f"recipe of replica {found[0]}   {printable(self.arm)}"
            self.app.push_screen(Reader(title, path=self.paths.run(found[1].id).spec))

    def action_measure(self) -> None:
        """Put the next measure on the y-axis."""
        if self.picture is not None:
            self.measure = self.picture.next_measure(self.measure)

    def action_cursor(self, epochs: int) -> None:
        """Move the cursor that reads values."""
        self.query_one(RunPlot).move_cursor(epochs)

    def action_zoom(self, factor: float) -> None:
        """Show fewer epochs, or more."""
        self.query_one(RunPlot).zoom(factor)

    def action_zoom_values(self, factor: float) -> None:
        """Show values larger, or smaller."""
        self.query_one(RunPlot).zoom_values(factor)

    def action_reset(self) -> None:
        """Show the whole plot, without a cursor."""
        self.query_one(RunPlot).reset()

    def ask_run(self, verb: Verb, said: str) -> None:
        """Make a request about the run under the cursor."""
        found = self.find_run()
        if found is not None and may_change(self, self.options):
            ask(self, self.paths, verb, f"replica {found[0]}: {said}", runs=[found[1].id])
            self.reading.ask()

    def action_pause(self) -> None:
        """Hold the training of the run, or let it go on."""
        paused = self.picture is not None and self.run_id in self.picture.snapshot.control.paused_runs
        self.ask_run("resume" if paused else "pause", "going on" if paused else "pausing")

    def action_cancel(self) -> None:
        """End the run."""
        self.ask_run("cancel", "stopping")

    def action_retry(self) -> None:
        """Say what trying the run again does, and ask."""
        found = self.find_run()
        if self.picture is None or found is None or not may_change(self, self.options):
            return
        number, run = found

        def begin(yes: bool | None) -> None:
            if yes:
                self.retry(number, run.id, run.state.attempts)

        self.app.push_screen(Confirm(describe_retry(number, run, self.picture.snapshot)), begin)

    @work(thread=True, group="retry")
    def retry(self, number: int, run: str, seen: int) -> None:
        """Ask for another attempt, outside the event loop: a supervisor takes a moment to start."""
        try:
            retry_run(self.paths, run, seen=seen)
        except NondetError as error:
            complain(self, str(error))
            return
        self.notify(f"replica {number} is tried again")

    def action_arm(self) -> None:
        """Ask what to do with every run of the arm that has not ended."""
        place = self.find_arm()
        left = [] if place is None else [run.id for run in place[1].runs if not run.state.has_ended]
        if not left:
            self.notify("every run of this arm has ended")
            return
        if not may_change(self, self.options):
            return
        runs, not_ended = plural(len(left), "run"), f"that {'has' if len(left) == 1 else 'have'} not ended"
        rows = [(verb, f"{said} {runs} {not_ended}") for verb, said in ARM_VERBS.items()]

        def chosen(key: str | None) -> None:
            if key in ARM_VERBS:
                ask(self, self.paths, key, f"asked {runs} of {printable(self.arm)} to {key}", runs=left)

        self.app.push_screen(Choose(f"{printable(self.arm)}: every run", rows), chosen)
