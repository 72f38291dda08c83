"""Assembling a protocol: arms and their sources, every setting, the plan and the text that is saved, checked live."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.reactive import var
from textual.screen import Screen

from engine.catalog.sources import SOURCES
from engine.dispatch.launch import done_runs, find_folder
from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import printable
from engine.study.files import write_bytes
from engine.study.paths import enter_path
from tui.app.document import (
    Document,
    Step,
    allowed_of,
    check_value,
    default_of,
    find_arm,
    find_value_fault,
    format_value,
    parse_value,
    remedy_of,
)
from tui.app.messages import CopyText, ProtocolSaved, RunProtocol
from tui.app.options import Options, may_change
from tui.app.screens.builder_keys import ARM_ACTIONS, ARM_BINDINGS
from tui.app.screens.builder_lines import ARM_EXAMPLES, data_rows, first_fault, model_rows
from tui.app.screens.builder_panes import ArmTable, Heading, PlanView, SettingTable, SourceView
from tui.app.screens.dialogs import Choose, Confirm, Prompt, Reader
from tui.app.screens.judgement import DoneCounted, Judgement, ProtocolJudged, Timed, judge
from tui.app.widgets.lines import LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.titles import Keys
from tui.commands.check import describe_timing

NARROW_COLUMNS = 100
"""Below these, arms and settings share one place, as two pages."""


class BuilderScreen(Screen[None]):
    """Changes a protocol.

    Keys change the document; its new text is judged in a thread, which posts `ProtocolJudged` and `DoneCounted`. Each
    part of the screen is bound to the attributes that it shows, and draws itself when one changes.
    """

    app = getters.app(app_class)

    document: var[Document] = var(lambda: Document("", file=""))
    """The protocol that is changed in place; a change of `text` tells that it was."""
    text: var[str] = var("")
    """The protocol as it would be saved."""
    judgement: var[Judgement] = var(Judgement())
    """The judgement of the text, or of an earlier text while this one is being judged."""
    done: var[int | None] = var(None)
    """Runs that the study has already; None while they are counted."""
    timing: var[tuple[str, ...]] = var(())
    """The estimate, where it was asked for."""
    saved: var[str] = var("")
    """The text that the file holds."""
    path: var[Path] = var(Path())
    column: var[int] = var(0)
    """The source that the switch is at."""
    small: var[bool] = var(False, toggle_class="-small")
    """Arms and settings share one place."""
    page: var[Literal["arms", "settings"]] = var("arms")
    """Which of both is seen there: the one that had the focus last."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back"),
        Binding("ctrl+r", "run", "Run"),
        Binding("ctrl+s", "save", "Save"),
        Binding("tab", "page", "Arms/Settings"),
        *ARM_BINDINGS,
        Binding("u", "undo", "Undo"),
        Binding("v", "view_text", "TOML"),
        Binding("t", "time", "Time it"),
        Binding("y", "copy_text", "Copy TOML", show=False),
    ]

    def __init__(self, document: Document, path: Path, options: Options, *, copy: bool) -> None:
        """Take a protocol.

        Args:
            document: Its text, to be changed.
            path: Its file.
            options: What the app was started with.
            copy: Whether it is a new one: saving it asks for a name.
        """
        super().__init__()
        self.options, self.copied = options, copy
        self.set_reactive(BuilderScreen.document, document)
        self.set_reactive(BuilderScreen.path, path)
        self.set_reactive(BuilderScreen.text, document.text())
        self.set_reactive(BuilderScreen.saved, "" if copy else document.text())
        self.judging = False
        self.history: list[Step] = []
        """Changes, oldest first."""

    def compose(self) -> ComposeResult:
        """Lay out heading, arms beside settings, plan beside text, and keys."""
        cls = BuilderScreen
        yield Heading(id="title", classes="title").data_bind(cls.document, cls.text, cls.saved, cls.path, cls.judgement)
        with Horizontal(id="upper"):
            yield ArmTable(name_id="arms", classes="box").data_bind(cls.document, cls.text, cls.judgement, cls.column)
            yield SettingTable(name_id="settings", classes="box").data_bind(cls.document, cls.text, cls.judgement)
        with Horizontal(id="lower"):
            yield PlanView(name_id="plan", classes="box", cursor=False).data_bind(cls.judgement, cls.done, cls.timing)
            yield SourceView(name_id="text", classes="box", cursor=False).data_bind(cls.text)
        yield Keys()

    def on_mount(self) -> None:
        """Begin at the arms, and have the text judged."""
        self.query_one(ArmTable).focus()
        self.check()

    def on_resize(self, event: events.Resize) -> None:
        """Find out whether there is room for arms beside settings."""
        self.small = self.size.width < NARROW_COLUMNS

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Bring what has the focus to the front."""
        if event.widget.id in ("arms", "settings"):
            self.page = event.widget.id

    def watch_page(self, page: str) -> None:
        """Bring the other page to the front; which it is matters only where there is little room."""
        self.set_class(page == "settings", "-settings")

    # Checking ------------------------------------------------------------------------------------------------------

    def watch_text(self) -> None:
        """Drop the time that was estimated for the old text, and check the new one."""
        self.timing = ()
        self.check()

    def check(self) -> None:
        """Start to check the text in the background; a check that is going on takes up the newest text by itself."""
        if not self.judging:
            self.judging = True
            self._judge(self.text, self.path)

    @work(thread=True, group="judge")
    def _judge(self, text: str, path: Path) -> None:
        """Judge a text, and count the runs that are done, outside the event loop: files are read for both."""
        judgement = judge(text, str(path), self.options.store)
        self.post_message(ProtocolJudged(judgement))
        if judgement.protocol is not None and judgement.plan is not None:
            folder = find_folder(judgement.protocol, store=str(self.options.store))
            self.post_message(DoneCounted(judgement.plan, len(done_runs(folder, judgement.plan))))

    def on_protocol_judged(self, event: ProtocolJudged) -> None:
        """Show the judgement, unless the text has changed meanwhile."""
        self.judging = False
        if event.judgement.text == self.text:
            self.done, self.judgement = None, event.judgement
        else:
            self.check()

    def on_done_counted(self, event: DoneCounted) -> None:
        """Show how many runs are done, if that plan is still the one."""
        if self.judgement.plan is event.plan:
            self.done = event.done

    @property
    def is_valid(self) -> bool:
        """Tell whether the text has been checked and has no fault; where not, notify the person of the reason."""
        if self.judgement.text != self.text:
            self.notify("the protocol is still being checked", severity="warning")
            return False
        if self.judgement.plan is None:
            self.notify(first_fault(self.judgement.faults), severity="error", markup=False)
        return self.judgement.plan is not None

    def changed(self, *, to_last_arm: bool = False) -> None:
        """Take up what was changed in the document; `to_last_arm` moves the cursor to the arm that was added."""
        text, before = self.text, self.arm
        self.text = self.document.text()
        if to_last_arm:
            self.query_one(ArmTable).move_to(str(len(self.document.arms) - 1))
        self.history.append(Step(text, before, self.arm))

    def action_undo(self) -> None:
        """Take the last change back; the cursor goes back with it, or stays on its arm where it was moved since."""
        if not self.history:
            self.notify("nothing to take back")
            return
        step, here, names = self.history.pop(), self.arm, self.document.names
        self.document = Document(step.text, file=str(self.path))
        self.text = step.text
        place = step.before if here == step.after else find_arm(here, names, self.document.names)
        self.query_one(ArmTable).move_to(str(place))

    # Arms ----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the keys of the arms act, and be shown, while the arms have the focus."""
        return action not in ARM_ACTIONS or self.query_one(ArmTable).has_focus

    @property
    def arm(self) -> int | None:
        """Number of the arm under the cursor."""
        key = self.query_one(ArmTable).key
        return None if key is None else int(key)

    def action_column(self, step: int) -> None:
        """Move the switch to another source."""
        self.column = (self.column + step) % len(SOURCES)

    def action_switch(self) -> None:
        """Let the source vary in the arm, or hold it."""
        self.action_toggle_source(self.column)

    def action_toggle_source(self, number: int) -> None:
        """Let a source vary in the arm, or hold it, by the source's number."""
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
        """Add an arm, a control until sources are toggled."""
        self.document.add_arm(self.document.free_name("Control"))
        self.changed(to_last_arm=True)

    def action_copy(self) -> None:
        """Add the arm again, to be changed."""
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
        """Ask from which epochs on the sources differ."""
        self._ask_arm("onset", "Onset: an epoch, or a list such as [0, 5, 10]; empty for none")

    def action_ensemble(self) -> None:
        """Ask of which arm's runs the arm makes ensembles."""
        self._ask_arm("ensemble", 'Ensemble, e.g. { of = "All nondeterminism sources", size = 2 }; empty for none')

    def action_replicas(self) -> None:
        """Ask how many replicas this arm has."""
        self._ask_arm("replicas", "Replicas of this arm; empty for the protocol's")

    def action_override(self, key: str) -> None:
        """Ask for settings that hold in this arm alone, as a table."""
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
        """Go to the settings, or to the arms."""
        focused = self.focused.id if self.focused is not None else "arms"
        self.page = "settings" if focused == "arms" else "arms"
        self.query_one(f"#{self.page}").focus()

    def action_view_text(self) -> None:
        """Show the TOML as it would be saved."""
        self.app.push_screen(Reader(f"{self.path.name}, as it would be saved", self.text))

    def action_copy_text(self) -> None:
        """Copy the TOML."""
        self.post_message(CopyText(self.text, self.path.name))

    def action_time(self) -> None:
        """Train for about a second per workload, and estimate."""
        protocol, plan = self.judgement.protocol, self.judgement.plan
        if self.is_valid and protocol is not None and plan is not None:
            self.timing = ("timing …",)
            self._time(protocol, plan)

    @work(thread=True, group="time")
    def _time(self, protocol: Protocol, plan: Plan) -> None:
        """Ask a training process, outside the event loop."""
        self.post_message(Timed(plan, tuple(describe_timing(protocol, str(self.options.store)))))

    def on_timed(self, event: Timed) -> None:
        """Show the estimate, if that plan is still the one."""
        if self.judgement.plan is event.plan:
            self.timing = event.rows

    def action_save(self) -> None:
        """Write the file."""
        self.save()

    def action_run(self) -> None:
        """Save, and train what is missing."""
        if not self.is_valid:
            return
        if self.text != self.saved:
            self.save(run=True)
        else:
            self.post_message(RunProtocol(self.path))

    def save(self, *, run: bool = False) -> None:
        """Ask where to where that is not known, and write the file.

        Args:
            run: Ask for the protocol to be run once it is written.
        """

        def write(name: str | None) -> None:
            if name:
                self._write(name, run=run)

        if not may_change(self, self.options):
            return
        if self.copied:
            name = str(self.document.get("protocol.name") or "protocol")
            folder = Path("protocols") if Path("protocols").is_dir() else Path()
            path = folder / f"{name}.toml"
            hint = "a file of this name is replaced" if path.exists() else ""
            self.app.push_screen(Prompt("Save as", str(path), hint=hint), write)
        else:
            write(str(self.path))

    def _write(self, name: str, *, run: bool) -> None:
        try:
            path = enter_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, self.text.encode())
        except (OSError, NondetError) as error:
            self.notify(printable(str(error)), severity="error", markup=False, timeout=15)
            return
        self.path, self.saved, self.copied = path, self.text, False
        self.check()
        self.post_message(ProtocolSaved(path))
        if run:
            self.post_message(RunProtocol(path))
        else:
            self.notify(f"saved {path}", markup=False)

    def action_leave(self) -> None:
        """Go back; ask first where something would be lost."""
        if self.text == self.saved or (self.copied and not self.saved):
            self.app.pop_screen()
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.app.pop_screen()

        self.app.push_screen(Confirm("Leave without saving? The changes are lost."), leave)
