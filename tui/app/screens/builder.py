"""Assembling a protocol: arms and their sources, every setting, the plan and the text that is saved, checked live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from engine.catalog.sources import SOURCES
from engine.dispatch.launch import done_runs, find_folder, plan_protocol
from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import Fault, ProtocolError, printable
from engine.protocol.load import parse_protocol
from engine.study.files import write_bytes
from engine.study.paths import enter_path
from engine.tuning.choice import recall
from tui.app.document import (
    Document,
    allowed_of,
    check_value,
    default_of,
    find_arm,
    find_value_fault,
    format_value,
    parse_value,
    remedy_of,
)
from tui.app.host import host
from tui.app.screens.builder_keys import ARM_ACTIONS, ARM_BINDINGS
from tui.app.screens.builder_lines import (
    ARM_EXAMPLES,
    arm_lines,
    data_rows,
    fault_lines,
    first_fault,
    model_rows,
    plan_lines,
    setting_lines,
    title_text,
)
from tui.app.screens.dialogs import Choose, Confirm, Prompt
from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.titles import Keys, TextLine
from tui.commands.check import describe_timing

NARROW_COLUMNS = 100


@dataclass(frozen=True)
class Step:
    """A change that can be taken back."""

    text: str
    """The protocol before it."""
    before: int | None
    """The arm under the cursor before it."""
    after: int | None
    """The same after it."""


class BuilderScreen(Screen[None]):
    """See the module."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back"),
        *ARM_BINDINGS,
        Binding("u", "undo", "Undo"),
        Binding("tab", "page", "Arms/Settings"),
        Binding("v", "view_text", "TOML"),
        Binding("t", "time", "Time it"),
        Binding("y", "copy_text", "Copy TOML", show=False),
        Binding("ctrl+s", "save", "Save"),
        Binding("ctrl+r", "run", "Run"),
    ]

    def __init__(self, document: Document, path: Path, *, copy: bool) -> None:
        """`copy` asks for a new name when it is saved."""
        super().__init__()
        self.document, self.path, self.copied = document, path, copy
        self.saved = "" if copy else document.text()
        self.column = 0
        self.page = "arms"
        self.protocol: Protocol | None = None
        self.plan: Plan | None = None
        self.done: int | None = None
        self.faults: list[Fault] = []
        self.timing: list[str] = []
        self.latest = document.text()
        self.history: list[Step] = []
        """Changes, oldest first."""

    def compose(self) -> ComposeResult:
        """Title, arms beside settings, plan, keys."""
        yield TextLine("", id="title", classes="title")
        with Horizontal(id="upper"):
            with Vertical(id="arms-box", classes="box"):
                yield LinesView(name_id="arms")
            with Vertical(id="settings-box", classes="box"):
                yield LinesView(name_id="settings")
        with Horizontal(id="lower"):
            with Vertical(id="plan-box", classes="box"):
                yield LinesView(name_id="plan", cursor=False)
            with Vertical(id="text-box", classes="box"):
                yield LinesView(name_id="text", cursor=False)
        yield Keys()

    def on_mount(self) -> None:
        """Check what was opened."""
        self.query_one("#arms-box").border_title = "Arms: which sources vary"
        self.query_one("#settings-box").border_title = "Settings"
        self.query_one("#plan-box").border_title = "Plan"
        self.query_one("#text-box").border_title = "As it will be saved"
        self.query_one("#arms", LinesView).focus()
        self.lay_out()
        self.check()

    def on_resize(self, event: events.Resize) -> None:
        """Other sizes have other places."""
        self.lay_out()
        self.show()

    def lay_out(self) -> None:
        """One of two pages where there is little room."""
        small = self.size.width < NARROW_COLUMNS
        self.query_one("#arms-box").display = not small or self.page == "arms"
        self.query_one("#settings-box").display = not small or self.page == "settings"
        self.query_one("#text-box").display = not small

    # Checking ------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Have the engine judge the text as it stands."""
        self.protocol, self.plan, self.done, self.faults = None, None, None, []
        try:
            self.protocol = parse_protocol(self.document.text(), file=str(self.path))
            known = recall(self.protocol, store=host(self).store)
            self.plan = plan_protocol(self.protocol, known.packings)
            self.count_done(self.protocol, self.plan)
        except ProtocolError as error:
            self.faults = list(error.faults)
        except NondetError as error:
            self.faults = [Fault("dispatch", str(error), "choose other devices", None)]
        self.show()

    def changed(self, *, to_last_arm: bool = False) -> None:
        """Something was edited; `to_last_arm` moves the cursor to the arm that was added."""
        text, before = self.latest, self.arm
        self.timing = []
        self.latest = self.document.text()
        self.check()
        if to_last_arm:
            self.query_one("#arms", LinesView).move_to(str(len(self.document.arms) - 1))
        self.history.append(Step(text, before, self.arm))

    def action_undo(self) -> None:
        """Take the last change back; the cursor goes back with it, or stays on its arm where it was moved since."""
        if not self.history:
            self.notify("nothing to take back")
            return
        step, here, names = self.history.pop(), self.arm, self.document.names
        self.latest = step.text
        self.document = Document(self.latest, file=str(self.path))
        self.timing = []
        self.check()
        place = step.before if here == step.after else find_arm(here, names, self.document.names)
        self.query_one("#arms", LinesView).move_to(str(place))

    # What is shown -------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Every part as it is now."""
        title = title_text(self.document, self.path.stem, saved=self.saved, plan=self.plan, faults=self.faults)
        self.query_one("#title", TextLine).show(title)
        arms = self.query_one("#arms", LinesView)
        width = max(12, min(32, arms.size.width - 48))
        arms.set_lines(arm_lines(self.document, self.plan, self.faults, column=self.column, width=width))
        self.query_one("#settings", LinesView).set_lines(setting_lines(self.document, self.faults))
        self.query_one("#plan", LinesView).set_lines(self._make_plan_lines())
        self.query_one("#text", LinesView).set_lines([Line(Text(printable(row))) for row in self.latest.splitlines()])

    def _make_plan_lines(self) -> list[Line]:
        if self.plan is None:
            return fault_lines(self.faults)
        return plan_lines(self.plan, done=self.done, timing=self.timing)

    @work(thread=True, exclusive=True, group="count")
    def count_done(self, protocol: Protocol, plan: Plan) -> None:
        """Count the runs that are done, outside the event loop: each one's result is read."""
        done = len(done_runs(find_folder(protocol, store=host(self).store), plan))
        self.app.call_from_thread(self._take_done, plan, done)

    def _take_done(self, plan: Plan, done: int) -> None:
        if self.plan is plan:
            self.done = done
            self.query_one("#plan", LinesView).set_lines(self._make_plan_lines())

    # Arms ----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the arms act, and are shown, while the arms have the focus."""
        return action not in ARM_ACTIONS or self.query_one("#arms").has_focus

    @property
    def arm(self) -> int | None:
        """Number of the arm under the cursor."""
        key = self.query_one("#arms", LinesView).key
        return None if key is None else int(key)

    def action_column(self, step: int) -> None:
        """The next source."""
        self.column = (self.column + step) % len(SOURCES)
        self.show()

    def action_switch(self) -> None:
        """Let the source vary in the arm, or hold it."""
        self.action_toggle_source(self.column)

    def action_toggle_source(self, number: int) -> None:
        """The same for a source by its number."""
        if self.arm is None:
            self.notify("no arm is chosen: a adds one", severity="warning")
            return
        table = self.document.arms[self.arm]
        if "ensemble" in table or "crossed" in table:
            self.notify("this arm says otherwise what varies; edit the file for that (v shows it)", severity="warning")
            return
        self.document.toggle(self.arm, list(SOURCES)[number])
        self.changed()

    def action_add(self) -> None:
        """A new arm, a control until sources are toggled."""
        self.document.add_arm(self.document.free_name("Control"))
        self.changed(to_last_arm=True)

    def action_copy(self) -> None:
        """The arm again, to be changed."""
        if self.arm is not None:
            name = self.document.free_name(str(self.document.arms[self.arm].get("name", "arm")))
            self.document.copy_arm(self.arm, name)
            self.changed(to_last_arm=True)

    def action_delete(self) -> None:
        """Take the arm out; nothing that was trained is lost."""
        if self.arm is not None:
            self.document.remove_arm(self.arm)
            self.changed()

    def action_onset(self) -> None:
        """From which epochs on the sources differ."""
        self._ask_arm("onset", "Onset: an epoch, or a list such as [0, 5, 10]; empty for none")

    def action_ensemble(self) -> None:
        """An arm of ensembles of another arm's runs."""
        self._ask_arm("ensemble", 'Ensemble, e.g. { of = "All nondeterminism sources", size = 2 }; empty for none')

    def action_replicas(self) -> None:
        """How many replicas this arm has."""
        self._ask_arm("replicas", "Replicas of this arm; empty for the protocol's")

    def action_override(self, key: str) -> None:
        """Settings that hold in this arm alone, as a table."""
        self._ask_arm(key, f"{key} of this arm, e.g. {ARM_EXAMPLES[key]}; empty for none")

    def _ask_arm(self, key: str, title: str) -> None:
        number = self.arm
        if number is None:
            return

        def take(text: str | None) -> None:
            if text is not None:
                self.document.set_arm(number, key, parse_value(text))
                if key in ("ensemble", "crossed") and text.strip():
                    self.document.set_arm(number, "vary", None)
                self.changed()

        value = self.document.arms[number].get(key)
        self.app.push_screen(Prompt(title, format_value(value), check=find_value_fault), take)

    # Settings ------------------------------------------------------------------------------------------------------

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Rename an arm, or change a setting."""
        event.stop()
        if event.view.id == "arms":
            number = int(event.key)

            def rename(text: str | None) -> None:
                if text:
                    self.document.set_arm(number, "name", text)
                    self.changed()

            self.app.push_screen(Prompt("Name of the arm", str(self.document.arms[number].get("name", ""))), rename)
        elif event.view.id == "settings":
            self.edit(event.key)

    def edit(self, key: str) -> None:
        """Ask for a setting's value; presets are chosen from a list."""

        def take(text: str | None) -> None:
            if text is not None:
                self.document.set(key, parse_value(text))
                self.changed()

        listed = {"data.preset": data_rows, "model.preset": model_rows}
        if key in listed:
            self.app.push_screen(Choose(key, listed[key]()), take)
            return
        value = self.document.get(key)
        default = format_value(default_of(key))
        hint = f"{allowed_of(key)}; {remedy_of(key)}" + (f"; default {default}" if default else "")
        title = f"{key}   (empty: the default)"
        self.app.push_screen(Prompt(title, format_value(value), hint=hint, check=lambda t: check_value(key, t)), take)

    # The whole -----------------------------------------------------------------------------------------------------

    def action_page(self) -> None:
        """Arms, or settings."""
        focused = self.focused.id if self.focused is not None else "arms"
        self.page = "settings" if focused == "arms" else "arms"
        self.lay_out()
        self.query_one(f"#{self.page}", LinesView).focus()
        # What was hidden knows its width, which names are cut to, once it has been laid out.
        self.call_after_refresh(self.show)

    def action_view_text(self) -> None:
        """The TOML as it would be saved."""
        host(self).read_text(f"{self.path.name}, as it would be saved", self.document.text())

    def action_copy_text(self) -> None:
        """The TOML to the clipboard."""
        host(self).copy(self.document.text(), self.path.name)

    def action_time(self) -> None:
        """Train for about a second per workload, and estimate."""
        if self.plan is None or self.protocol is None:
            self.notify("repair the protocol first", severity="warning")
            return
        self.timing = ["timing …"]
        self.show()
        self.time(self.protocol)

    @work(thread=True, exclusive=True, group="time")
    def time(self, protocol: Protocol) -> None:
        """Ask a training process, outside the event loop."""
        self.app.call_from_thread(self._take_timing, describe_timing(protocol, host(self).store))

    def _take_timing(self, rows: list[str]) -> None:
        self.timing = rows
        self.show()

    def action_save(self) -> None:
        """Write the file."""
        self.save(None)

    def save(self, then: object) -> None:
        """Ask where to, and write; `then` is called with the path once it is written."""

        def write(name: str | None) -> None:
            if not name:
                return
            try:
                path = enter_path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, self.document.text().encode())
            except (OSError, NondetError) as error:
                self.notify(printable(str(error)), severity="error", markup=False, timeout=15)
                return
            self.path, self.saved, self.copied = path, self.document.text(), False
            host(self).note_recent(path)
            self.check()
            if callable(then):
                then(path)
            else:
                self.notify(f"saved {path}", markup=False)

        if not host(self).may_change():
            return
        if self.copied:
            name = str(self.document.get("protocol.name") or "protocol")
            folder = Path("protocols") if Path("protocols").is_dir() else Path()
            path = folder / f"{name}.toml"
            hint = "a file of this name is replaced" if path.exists() else ""
            self.app.push_screen(Prompt("Save as", str(path), hint=hint), write)
        else:
            write(str(self.path))

    def action_run(self) -> None:
        """Save, and train what is missing."""
        if self.plan is None:
            self.notify(first_fault(self.faults), severity="error", markup=False)
            return
        if self.document.text() != self.saved:
            self.save(lambda path: host(self).run_protocol(path))
        else:
            host(self).run_protocol(self.path)

    def action_leave(self) -> None:
        """Back; asks where something would be lost."""
        if self.document.text() == self.saved or (self.copied and not self.saved):
            self.app.pop_screen()
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.app.pop_screen()

        self.app.push_screen(Confirm("Leave without saving? The changes are lost."), leave)
