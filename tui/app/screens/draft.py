"""A protocol that is being changed, as a screen holds it: judged and timed in the background, undone, saved."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from textual import getters, work
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer

from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import printable
from engine.study.files import write_bytes
from engine.study.paths import enter_path
from tui.app.asking import complain
from tui.app.document import Document
from tui.app.estimate import Estimate, Timing, estimate, may_time_unasked, time_plan
from tui.app.history import History, Place
from tui.app.messages import ProtocolSaved, RunProtocol
from tui.app.options import Options, may_change
from tui.app.preview import preview_plan
from tui.app.previewed import ProtocolPreview
from tui.app.screens.builder_plan import first_fault
from tui.app.screens.dialogs import Prompt
from tui.app.screens.judgement import Judgement, ProtocolJudged, judge
from tui.app.widgets.owner import app_class

TIMING_DELAY_S = 2.0
"""Seconds without a change after which an epoch is timed."""


@dataclass
class Previewed(Message):
    """Brings what is done of a plan, and where the rest would be trained."""

    plan: Plan
    preview: ProtocolPreview


@dataclass
class Timed(Message):
    """Brings what was timed."""

    timing: Timing


class DraftScreen(Screen[None]):
    """Holds a protocol that is being changed.

    Its text is judged in a thread, which posts `ProtocolJudged` and `Previewed`; a while after the last change, another
    thread times an epoch and posts `Timed`, unless that would run somebody's code or fetch data.
    """

    app = getters.app(app_class)

    document: var[Document] = var(lambda: Document("", file=""))
    """The protocol that is changed in place; a change of `text` tells that it was."""
    text: var[str] = var("")
    """The protocol as it would be saved."""
    judgement: var[Judgement] = var(Judgement())
    """The judgement of the text, or of an earlier text while this one is being judged."""
    preview: var[ProtocolPreview | None] = var(None)
    """What is done of the plan, and where the rest would be trained; None while that is looked into."""
    timing: var[Timing] = var(Timing())
    """What was timed."""
    estimate: var[Estimate | None] = var(None)
    """How long the plan takes; None where that is not known."""
    timed_now: var[bool] = var(False)
    """Whether an epoch is being timed."""
    saved: var[str] = var("")
    """The text that the file holds."""
    path: var[Path] = var(Path())
    fresh: var[bool] = var(False)
    """Whether it has no file yet."""

    def __init__(self, document: Document, path: Path, options: Options, *, copy: bool) -> None:
        """Take a protocol.

        Args:
            document: Its text, to be changed.
            path: Its file; of a new one, the file that it began as.
            options: What the app was started with.
            copy: Whether it is a new one: saving it asks for a name.
        """
        super().__init__()
        self.options = options
        self.set_reactive(DraftScreen.document, document)
        self.set_reactive(DraftScreen.path, path)
        self.set_reactive(DraftScreen.text, document.text())
        self.set_reactive(DraftScreen.saved, "" if copy else document.text())
        self.set_reactive(DraftScreen.fresh, copy)
        self.judging = False
        self.history = History()
        self.here = Place(document.snapshot(), tuple(document.names), None)
        """The protocol and the cursor as the last change, or the last move, left them."""
        self._pause: Timer | None = None

    # Judging -------------------------------------------------------------------------------------------------------

    def watch_text(self) -> None:
        """Check the new text."""
        self.check()

    def check(self) -> None:
        """Start to check the text in the background; a check that is going on takes up the newest text by itself."""
        if not self.judging:
            self.judging = True
            self._judge(self.text, self.path)

    @work(thread=True, group="judge")
    def _judge(self, text: str, path: Path) -> None:
        """Judge a text, and look at what is done of its plan, outside the event loop: files are read for both."""
        judgement = judge(text, str(path), self.options.store)
        self.post_message(ProtocolJudged(judgement))
        self._look_up(judgement)

    def _look_up(self, judgement: Judgement, known: ProtocolPreview | None = None) -> None:
        """Look up in files what is done of a plan, and post that where it is not known."""
        if judgement.protocol is None or judgement.plan is None:
            return
        try:
            preview = preview_plan(judgement.protocol, judgement.plan, self.options.store)
        except NondetError as error:
            preview = ProtocolPreview(judgement.protocol.name, "", faults=tuple(str(error).splitlines()))
        if preview != known:
            self.post_message(Previewed(judgement.plan, preview))

    def on_screen_resume(self) -> None:
        """Look again at what is done after another screen: runs of this plan may have been trained meanwhile."""
        if self.preview is not None:
            self.run_worker(partial(self._look_up, self.judgement, self.preview), thread=True, group="look")

    def on_protocol_judged(self, event: ProtocolJudged) -> None:
        """Show the judgement, unless the text has changed meanwhile."""
        self.judging = False
        if event.judgement.text == self.text:
            self.preview, self.judgement = None, event.judgement
        else:
            self.check()

    def on_previewed(self, event: Previewed) -> None:
        """Show what is done and what it costs, if that plan is still the one; time it in a while where that lacks."""
        if self.judgement.plan is event.plan:
            self.preview = self.timing.settle(event.preview)
            self._estimate()
            if self._pause is not None:
                self._pause.stop()
            self._pause = self.set_timer(TIMING_DELAY_S, self.time_unasked)

    @property
    def is_valid(self) -> bool:
        """Tell whether the text has been checked and has no fault; where not, notify the person of the reason."""
        if self.judgement.text != self.text:
            self.notify("the protocol is still being checked", severity="warning")
            return False
        if self.judgement.plan is None:
            self.notify(first_fault(self.judgement.faults), severity="error", markup=False)
        return self.judgement.plan is not None

    # Changing ------------------------------------------------------------------------------------------------------

    @property
    def arm(self) -> int | None:
        """Return the number of the arm under the cursor."""
        return None

    def move_to_arm(self, number: int | None) -> None:
        """Put the cursor on an arm."""

    def find_place(self) -> Place:
        """Return the protocol and the cursor as they are now."""
        return Place(self.document.snapshot(), tuple(self.document.names), self.arm)

    def changed(self, *, arm: int | None = None) -> None:
        """Take up what was changed in the document; the cursor goes to an arm where one is given."""
        before = replace(self.here, arm=self.arm)
        self.text = self.document.text()
        if arm is not None:
            self.move_to_arm(arm)
        self.here = self.find_place()
        if self.here.content != before.content:
            self.history.record(before, self.here)

    def action_undo(self) -> None:
        """Take the last change back; the cursor goes back with it, or stays on its arm where it was moved since."""
        self._go_to(self.history.undo(self.find_place()), "nothing to take back")

    def action_redo(self) -> None:
        """Make the change again that was taken back last."""
        self._go_to(self.history.redo(self.find_place()), "nothing was taken back")

    def _go_to(self, place: Place | None, otherwise: str) -> None:
        if place is None:
            self.notify(otherwise)
            return
        self.document = Document(place.content.text, file=str(self.path), naming=place.content.naming)
        self.text = place.content.text
        self.move_to_arm(place.arm)
        self.here = self.find_place()

    # Timing --------------------------------------------------------------------------------------------------------

    def _estimate(self) -> None:
        plan, preview = self.judgement.plan, self.preview
        known = plan is not None and preview is not None and not preview.faults
        self.estimate = estimate(plan, preview, self.timing) if known and plan and preview else None

    def time_unasked(self) -> None:
        """Time what has not been timed, where that runs nobody's code and fetches nothing."""
        protocol, plan, preview = self.judgement.protocol, self.judgement.plan, self.preview
        if self.options.readonly or protocol is None or plan is None or preview is None or not self.timing.lacks(plan):
            return
        if not preview.faults and may_time_unasked(protocol, preview):
            self._start_timing(protocol, plan, choose=False)

    def action_time(self) -> None:
        """Train for about a second per workload, and estimate; code of the user's is run for it."""
        protocol, plan = self.judgement.protocol, self.judgement.plan
        if not self.is_valid or protocol is None or plan is None or not may_change(self, self.options):
            return
        if self.preview is not None and self.preview.code:
            code = ", ".join(map(printable, self.preview.code))
            self.notify(f"runs your code: {code}", severity="warning", markup=False, timeout=20)
        self._start_timing(protocol, plan, choose=True)

    def _start_timing(self, protocol: Protocol, plan: Plan, *, choose: bool) -> None:
        """Start to time in a thread that the end of the app does not wait for."""
        if self.timed_now:
            return
        self.timed_now = True

        def run() -> None:
            timing = time_plan(protocol, plan, self.options.store, choose=choose)
            with suppress(RuntimeError):  # the app has ended meanwhile
                self.post_message(Timed(timing))

        threading.Thread(target=run, daemon=True, name="timing").start()

    def on_timed(self, event: Timed) -> None:
        """Show the estimate; time what has come meanwhile."""
        self.timed_now, self.timing = False, self.timing.extend(event.timing)
        self.preview = None if self.preview is None else self.timing.settle(self.preview)
        self._estimate()
        self.time_unasked()

    # Saving and running --------------------------------------------------------------------------------------------

    def action_save(self) -> None:
        """Write the file."""
        if self.fresh:
            self.ask_where()
        elif may_change(self, self.options):
            self._write(str(self.path), run=False)

    def action_save_as(self) -> None:
        """Write another file, which is the one that is changed from then on."""
        self.ask_where()

    def action_run(self) -> None:
        """Save, and train what is missing, after a question."""
        if not may_change(self, self.options) or not self.is_valid:
            return
        if self.preview is not None and self.preview.obstacles:
            said = "\n".join(("cannot be trained yet:", *self.preview.obstacles))
            complain(self, said)
        elif self.fresh:
            self.ask_where(run=True)
        elif self.text != self.saved:
            self._write(str(self.path), run=True)
        else:
            self._ask_to_run()

    def ask_where(self, *, run: bool = False) -> None:
        """Ask for the file to write, and write it.

        Args:
            run: Ask for the protocol to be run once it is written.
        """
        if not may_change(self, self.options):
            return
        name = str(self.document.get("protocol.name") or "protocol")
        folder = Path("protocols") if Path("protocols").is_dir() else Path()
        path = (folder / f"{name}.toml").absolute() if self.fresh else self.path.absolute()

        def write(text: str | None) -> None:
            if text:
                self._write(text, run=run)

        self.app.push_screen(Prompt("Save as", str(path), check=find_file_fault, remark=describe_file), write)

    def _write(self, name: str, *, run: bool) -> None:
        try:
            path = enter_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, self.text.encode())
        except (OSError, NondetError) as error:
            complain(self, str(error))
            return
        self.path, self.saved, self.fresh = path, self.text, False
        self.check()
        self.post_message(ProtocolSaved(path))
        self.notify(f"saved {path.absolute()}", markup=False)
        if run:
            self._ask_to_run()

    def _ask_to_run(self) -> None:
        seconds = None if self.estimate is None else self.estimate.seconds
        self.post_message(RunProtocol(self.path, seconds))


def find_file_fault(text: str) -> str | None:
    """Return why a typed text names no file that could be written; None where it does."""
    if not text.strip():
        return "type the name of a file, or Esc"
    try:
        path = enter_path(text)
    except NondetError as error:
        return str(error)
    if path.is_dir():
        return f"{path} is a folder: name a file in it"
    return None if path.suffix == ".toml" else "a protocol is a TOML file: let its name end in .toml"


def describe_file(text: str) -> str:
    """Say what writing a file would do: which folder it goes to, and what is made or replaced."""
    path = enter_path(text).absolute()
    if path.exists():
        return f"replaces {path}"
    return f"into {path.parent}" + ("" if path.parent.is_dir() else ", a folder that is made for it")
