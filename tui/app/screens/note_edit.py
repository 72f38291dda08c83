"""A small screen on top of others in which a study's tags and note are changed, and what reads and keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import getters
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.notes import (
    NoteRecord,
    describe_damage,
    find_tags_fault,
    find_text_fault,
    read_note,
    split_tags,
    take_note,
    write_note,
)
from engine.study.paths import StudyPaths
from engine.study.records import Damage
from tui.app.asking import complain
from tui.app.options import Options, may_change
from tui.app.screens.dialogs import Confirm
from tui.app.widgets.owner import app_class

KEYS = "ctrl+s keep   tab tags or note   Esc back"


class NoteEdit(ModalScreen[NoteRecord | None]):
    """Asks for tags and for a note; typing is never blocked, keeping what is wrong is."""

    app = getters.app(app_class)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "keep", "Keep"),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, study: str, note: NoteRecord | Damage) -> None:
        """Take the study's name, and what is said of it now."""
        super().__init__()
        self.study = study
        self.hint = describe_damage(note) if isinstance(note, Damage) else ""
        self.note = take_note(note)

    def compose(self) -> ComposeResult:
        """Lay out title, tags, note, and keys or fault."""
        with Vertical(classes="dialog tall"):
            yield Static(Text(f"Tags and note of {printable(self.study)}", style="bold"))
            yield Static(Text("tags", style="dim"))
            yield Input(" ".join(self.note.tags), placeholder="tags, with spaces between them", id="tags")
            yield Static(Text("note", style="dim"))
            yield TextArea(self.note.text, id="editor", show_line_numbers=False)
            yield Static(Text(printable(self.hint) or KEYS, style="bold red" if self.hint else "dim"), id="hint")

    def on_mount(self) -> None:
        """Begin in the note."""
        self.query_one(TextArea).focus()

    @property
    def typed(self) -> NoteRecord:
        """Return what is typed now."""
        return NoteRecord(text=self.query_one(TextArea).text, tags=split_tags(self.query_one("#tags", Input).value))

    @property
    def fault(self) -> str | None:
        """Return what is wrong with it."""
        return find_tags_fault(self.typed.tags) or find_text_fault(self.typed.text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong with a tag as soon as it is."""
        self.judge()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Say what is wrong with the note as soon as it is."""
        self.judge()

    def judge(self) -> None:
        """Say what is wrong, or which keys there are."""
        fault = self.fault
        if fault or self.typed != self.note:
            self.query_one("#hint", Static).update(Text(fault, style="bold red") if fault else Text(KEYS, style="dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the note."""
        self.query_one(TextArea).focus()

    def action_keep(self) -> None:
        """Close with what was typed unless something is wrong with it."""
        if self.fault is None:
            self.dismiss(self.typed)
        else:
            self.app.bell()

    def action_back(self) -> None:
        """Leave everything as it was; ask first where something would be lost."""
        if self.typed == self.note:
            self.dismiss(None)
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        self.app.push_screen(Confirm("Leave tags and note as they were? The changes are lost."), leave)


def edit_note(app: App[None], paths: StudyPaths, options: Options, kept: Callable[[NoteRecord], object]) -> None:
    """Ask for a study's tags and note and keep them, where that is allowed; files are read and written in threads.

    Args:
        app: The app.
        paths: The study.
        options: What the app was started with.
        kept: Called with what was kept.
    """
    if not may_change(app, options):
        return

    def read() -> None:
        app.call_from_thread(show, read_note(paths))

    def show(found: NoteRecord | Damage) -> None:
        app.push_screen(NoteEdit(paths.name, found), take)

    def take(note: NoteRecord | None) -> None:
        if note is not None:
            app.run_worker(lambda: write(note), thread=True, group="note")

    def write(note: NoteRecord) -> None:
        try:
            write_note(paths, note)
        except NondetError as error:
            complain(app, str(error))
        else:
            app.call_from_thread(kept, note)

    app.run_worker(read, thread=True, group="note")
