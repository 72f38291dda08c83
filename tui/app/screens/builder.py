"""Assembling a protocol: arms and their sources, every setting, the plan and the text that is saved, checked live."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import var
from textual.widgets import Input

from engine.catalog.sources import SOURCES
from tui.app.document import Document, find_text_fault
from tui.app.messages import CopyText
from tui.app.options import Options, may_change
from tui.app.screens.builder_forms import ask_arm_key, ask_crossed, ask_ensemble, ask_name, ask_own, ask_value
from tui.app.screens.builder_keys import ARM_ACTIONS, GROUPS, KEYS, PANES, SETTING_ACTIONS
from tui.app.screens.builder_lines import MORE, find_best
from tui.app.screens.builder_panes import ArmTable, ExplainView, Heading, PlanView, SettingTable, SourceView
from tui.app.screens.builder_program import Asking, SelfTestScreen, describe_selftest_question
from tui.app.screens.dialogs import Confirm
from tui.app.screens.draft import DraftScreen
from tui.app.screens.text_edit import TextEdit
from tui.app.widgets.lines import LinesView
from tui.app.widgets.titles import Keys, number_boxes

NARROW_COLUMNS = 100
"""Below these, arms, settings and text share one place, as pages."""
SHORT_ROWS, TALL_ROWS, ROOMY_ROWS = 22, 34, 50
"""Rows below which the explanation is left out, from which it shares its column with the text, and from which settings
at their defaults are listed too.
"""


class BuilderScreen(DraftScreen):
    """Shows a protocol that is being changed, and changes it.

    Each part of the screen is bound to the attributes that it shows, and draws itself when one changes. A key acts on
    the pane that has the focus.
    """

    column: var[int] = var(0)
    """The source that the switch is at."""
    subject: var[str] = var("")
    """What is explained: the key of a setting, or the number of an arm."""
    needle: var[str] = var("")
    """What settings are filtered for."""
    everything: var[bool] = var(False)
    """Whether settings at their defaults are listed."""
    roomy: var[bool] = var(False)
    """Whether there is room for most of them."""
    store: var[Path] = var(Path())
    readonly: var[bool] = var(False)
    small: var[bool] = var(False, toggle_class="-small")
    """Arms, settings and text share one place."""
    covered = 0  # rows at the foot that something stands on
    short: var[bool] = var(False, toggle_class="-short")
    """There is no explanation."""
    tall: var[bool] = var(False, toggle_class="-tall")
    """Explanation and text are both seen."""
    page: var[Literal["arms", "settings", "text"]] = var("arms")
    """Which of the panes that share a place is seen: the one that had the focus last."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]
    KEY_GROUPS = GROUPS
    """How help lists the keys."""

    def __init__(self, document: Document, path: Path, options: Options, *, copy: bool) -> None:
        """Take a protocol; see `DraftScreen`."""
        super().__init__(document, path, options, copy=copy)
        self.set_reactive(BuilderScreen.store, options.store)
        self.set_reactive(BuilderScreen.readonly, options.readonly)

    def compose(self) -> ComposeResult:
        """Lay out heading, arms above settings, explanation, text, plan and keys."""
        cls = BuilderScreen
        yield Heading(id="title", classes="title").data_bind(
            cls.document, cls.text, cls.saved, cls.path, cls.fresh, cls.judgement, cls.preview, cls.estimate
        )
        with Horizontal(id="upper"):
            with Vertical(id="left"):
                yield ArmTable(name_id="arms", classes="box").data_bind(
                    cls.document, cls.text, cls.judgement, cls.column, cls.estimate, alone=cls.small
                )
                yield Input(placeholder="filter: letters of a setting's name or meaning", id="filter")
                yield SettingTable(name_id="settings", classes="box").data_bind(
                    cls.document, cls.text, cls.judgement, cls.needle, cls.everything
                )
            with Vertical(id="right"):
                yield ExplainView(name_id="explain", classes="box", cursor=False).data_bind(
                    cls.document, cls.text, cls.judgement, cls.preview, cls.estimate, cls.subject, cls.column
                )
                yield SourceView(name_id="text", classes="box", cursor=False).data_bind(cls.text)
        yield PlanView(name_id="plan", classes="box", cursor=False).data_bind(
            cls.judgement, cls.preview, cls.estimate, cls.timing, cls.timed_now, cls.subject, cls.store, cls.readonly
        )
        yield Keys()

    def on_mount(self) -> None:
        """Begin at the arms, and have the text judged."""
        self.query_one("#filter", Input).display = False
        number_boxes(self, PANES)
        self.query_one(ArmTable).focus()
        self.check()

    # Panes ---------------------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Find out what has room beside what."""
        width, height = self.size.width, self.size.height - self.covered
        self.small = width < NARROW_COLUMNS
        self.short, self.tall = height < SHORT_ROWS, height >= TALL_ROWS and not self.small
        self.roomy = height >= ROOMY_ROWS and not self.small

    def watch_roomy(self, roomy: bool) -> None:
        """List all settings where they fill the room that would be empty; + changes that."""
        self.everything = roomy

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Bring what has the focus to the front, and explain what is under its cursor."""
        view = event.widget
        if view.id in ("arms", "settings", "text"):
            self.page = view.id
        if isinstance(view, ArmTable | SettingTable):
            self.subject = view.key or ""

    def watch_page(self, page: str) -> None:
        """Bring a page to the front; which it is matters only where panes share a place."""
        self.set_class(page == "settings", "-settings")
        self.set_class(page == "text", "-text")

    def action_pane(self, step: int) -> None:
        """Go to the next pane, also to one that is not seen yet."""
        focused = self.focused.id if self.focused is not None else None
        panes = [pane for pane in PANES if pane != "explain" or not self.short]
        here = panes.index(focused) if focused in panes else panes.index(self.page)
        self.go_to(panes[(here + step) % len(panes)])

    def action_pane_at(self, place: int) -> None:
        """Go to a pane by its place among them; an explanation that has no room is passed over."""
        if PANES[place] != "explain" or not self.short:
            self.go_to(PANES[place])

    def go_to(self, pane: str) -> None:
        """Bring a pane to the front and give it the focus."""
        if pane in ("arms", "settings", "text"):
            self.page = pane  # pyright: ignore[reportAttributeAccessIssue]
        elif self.page == "text":
            self.page = "arms"  # which uncovers the explanation
        self.query_one(f"#{pane}").focus()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Explain what is under the cursor now."""
        event.stop()
        if event.view.has_focus:
            self.subject = event.key

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the keys of a pane act, and be shown, while it has the focus."""
        # The focus is asked for, not the panes: keys are shown before these are there, too.
        if action == "override" and self.document.runs_command:
            return False  # networks, data and training are the program's own affair
        if action in ARM_ACTIONS:
            return isinstance(self.focused, ArmTable)
        if action == "program":
            return self.document.runs_command
        return action not in SETTING_ACTIONS or isinstance(self.focused, SettingTable)

    # Arms ----------------------------------------------------------------------------------------------------------

    @property
    def arm(self) -> int | None:
        """Return the number of the arm under the cursor."""
        key = self.query_one(ArmTable).key
        return None if key is None else int(key)

    def move_to_arm(self, number: int | None) -> None:
        """Put the cursor on an arm."""
        if number is not None:
            self.query_one(ArmTable).move_to(str(number))

    def action_column(self, step: int) -> None:
        """Move the switch to another source."""
        self.column = (self.column + step) % len(SOURCES)

    def action_switch(self) -> None:
        """Let the source vary in the arm, or hold it."""
        self.action_toggle_source(self.column)

    def action_toggle_source(self, number: int) -> None:
        """Let a source vary in the arm, or hold it, by the source's number; the switch goes to it."""
        self.column = number
        if self.arm is None:
            self.notify("no arm is chosen: a adds one", severity="warning")
            return
        table = self.document.arms[self.arm]
        for key, what, how in (("ensemble", "makes ensembles", "A"), ("crossed", "crosses two sources", "X")):
            if key in table:
                self.notify(f"this arm {what}, which says what varies: {how} changes that", severity="warning")
                return
        self.document.toggle(self.arm, list(SOURCES)[number])
        self.changed()

    def on_arm_table_cell_clicked(self, event: ArmTable.CellClicked) -> None:
        """Move the switch to the mark that was clicked; switch it where it was there already."""
        self.column = event.source
        if event.again:
            self.action_switch()

    def action_add(self) -> None:
        """Add an arm, a control until sources are toggled."""
        self.document.add_arm(self.document.free_name("Control"))
        self.changed(arm=len(self.document.arms) - 1)

    def action_copy(self) -> None:
        """Add the arm again, to be changed."""
        if self.arm is not None:
            name = self.document.free_name(str(self.document.arms[self.arm].get("name", "arm")))
            self.document.copy_arm(self.arm, name)
            self.changed(arm=len(self.document.arms) - 1)

    def action_delete(self) -> None:
        """Take the arm out; nothing that was trained is lost."""
        if self.arm is not None:
            self.document.remove_arm(self.arm)
            self.changed()

    def action_onset(self) -> None:
        """Ask from which epochs on the sources differ."""
        if self.arm is not None:
            ask_arm_key(self.app, self.document, self.arm, "onset", self.changed)

    def action_replicas(self) -> None:
        """Ask how many replicas this arm has."""
        if self.arm is not None:
            ask_arm_key(self.app, self.document, self.arm, "replicas", self.changed)

    def action_ensemble(self) -> None:
        """Ask of which arm's runs the arm makes ensembles."""
        if self.arm is not None:
            ask_ensemble(self.app, self.document, self.arm, self.changed)

    def action_crossed(self) -> None:
        """Ask which two sources the arm crosses."""
        if self.arm is not None:
            ask_crossed(self.app, self.document, self.arm, self.changed)

    def action_override(self, section: str) -> None:
        """Ask which settings of a section hold in this arm alone."""
        if self.arm is not None:
            ask_own(self.app, self.document, self.arm, section, self.changed)

    # Settings ------------------------------------------------------------------------------------------------------

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Rename an arm, change a setting, or show more settings."""
        event.stop()
        if event.view.id == "arms":
            ask_name(self.app, self.document, int(event.key), self.changed)
        elif event.key == MORE:
            self.action_show_all()
        elif event.view.id == "settings":
            self.edit(event.key)

    def edit(self, key: str) -> None:
        """Ask for a setting's value."""

        def take(value: object) -> None:
            self.document.set(key, value)
            self.changed()

        ask_value(self.app, key, self.document.get(key), take)

    def action_show_all(self) -> None:
        """Show the settings at their defaults too, or only the others."""
        self.everything = not self.everything

    def action_filter(self) -> None:
        """Ask which settings are to be shown."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is being typed."""
        self.needle = event.value.strip()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the settings, which stay filtered, to the one that matches best."""
        self.go_to("settings")
        view = self.query_one(SettingTable)
        best = find_best([line.key for line in view.lines if line.key is not None], self.needle)
        if best is not None:
            view.move_to(best)

    def clear_filter(self) -> bool:
        """Show all settings again; return whether they were filtered."""
        field = self.query_one("#filter", Input)
        if not field.display:
            return False
        field.value, field.display = "", False
        self.go_to("settings")
        return True

    # A program of one's own -----------------------------------------------------------------------------------------

    def action_program(self) -> None:
        """Ask for the command that trains once, and find seeds in it."""
        Asking(self.app, self.document, self.path, self.fresh, self.changed).ask_words()

    def action_time(self) -> None:
        """Train for about a second per workload, and estimate; of a program of one's own, run the self-test."""
        protocol, plan = self.judgement.protocol, self.judgement.plan
        if not self.document.runs_command:
            super().action_time()
        elif self.is_valid and protocol is not None and plan is not None and may_change(self, self.options):
            if self.fresh or self.text != self.saved:
                self.notify("save it first (ctrl+s): its folder is seen from the file", severity="warning")
                return
            question = describe_selftest_question(protocol, plan)

            def run(yes: bool | None) -> None:
                if yes:
                    self.app.push_screen(SelfTestScreen(protocol, plan, self.options.store))

            self.app.push_screen(Confirm(question), run)

    # The whole -----------------------------------------------------------------------------------------------------

    def action_view_text(self) -> None:
        """Show the TOML as it would be saved, or what it covers again."""
        self.go_to("arms" if self.page == "text" else "text")

    def action_edit_text(self) -> None:
        """Ask for the TOML itself; what it says is taken over where it is TOML."""

        def take(text: str | None) -> None:
            if text is not None:
                before = self.document
                self.document = Document(text, file=str(self.path))
                if self.document.names == before.names:
                    self.document = Document(text, file=str(self.path), naming=before.snapshot().naming)
                self.changed()

        title = f"{self.path.name}, as it will be saved"
        self.app.push_screen(TextEdit(title, self.text, check=find_text_fault), take)

    def action_copy_toml(self) -> None:
        """Copy the TOML."""
        self.post_message(CopyText(self.text, self.path.name))

    def action_leave(self) -> None:
        """Leave the filter, or go back; ask first where something would be lost."""
        if self.clear_filter():
            return
        if self.text == self.saved or (self.fresh and not self.history.made):
            self.app.pop_screen()
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.app.pop_screen()

        self.app.push_screen(Confirm("Leave without saving? The changes are lost."), leave)
