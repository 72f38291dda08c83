"""The first screen: the studies of the store with their state, and the protocol files that there are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Input

from engine.protocol.faults import printable
from engine.study.paths import StudyPaths, find_store_fault, iterate_studies
from engine.study.summary import StudySummaries, StudySummary
from tui.app.asking import ask_to_stop
from tui.app.listed_files import GROUP_NOTES, ProtocolFile, find_protocols
from tui.app.messages import (
    ContinueStudy,
    CopyText,
    OpenBuilder,
    OpenComparison,
    OpenMonitor,
    OpenResults,
    PlayTour,
    RunProtocol,
)
from tui.app.options import Options, may_change
from tui.app.previewed import Preview
from tui.app.reading import Reading
from tui.app.screens.choosing import Choose
from tui.app.screens.deleting import ask_to_delete
from tui.app.screens.dialogs import Confirm
from tui.app.screens.note_edit import edit_note
from tui.app.screens.start_keys import GROUPS, KEYS, PANES, STUDY_ACTIONS
from tui.app.screens.start_lines import BEGINNINGS, DO, FOLD, Listing
from tui.app.screens.start_panes import ChoiceList, Heading, PreviewPane
from tui.app.settings import read_recent
from tui.app.templates import find_templates, list_beginnings
from tui.app.widgets.lines import LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.titles import Keys, number_boxes, set_border_title

PERIOD_S = 2.0

WIDE = 100
"""Columns from which the list and what is said of a line stand side by side."""


@dataclass
class ListingRead(Message):
    """Brings what there is to choose from."""

    listing: Listing


@dataclass
class PreviewRead(Message):
    """Brings what is said of a line."""

    key: str
    preview: Preview


class StartScreen(Screen[None]):
    """Lists what can be opened.

    A clock has the store and the protocol files read in a thread, which posts `ListingRead`. The heading and the list
    are bound to what was read, and the list to what is typed into the filter. What is under the cursor is looked into
    in another thread, which posts `PreviewRead`.
    """

    app = getters.app(app_class)

    listing: var[Listing | None] = var(None)
    needle: var[str] = var("")
    """What is filtered for."""
    folded: var[frozenset[str]] = var(frozenset[str]())
    """Groups of protocols of which only the heading is shown."""
    marked: var[str] = var("")
    """Key of the study that another one is to be compared with; empty for none."""
    preview: var[Preview | str | None] = var(None)
    """What is said of the line under the cursor; None while that is being read."""
    on_study: var[bool] = var(False, bindings=True)
    """Whether the line under the cursor is a study."""
    small: var[bool] = var(False, toggle_class="-small")
    """Whether there is room for one of the two panes alone."""
    previewing: var[bool] = var(False, toggle_class="-preview")
    """Whether that is the preview."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    KEY_GROUPS = GROUPS
    """How help lists the keys."""

    def __init__(self, options: Options) -> None:
        """Keep the options of the app; nothing is read yet."""
        super().__init__()
        self.options = options
        self.reading = Reading(self._read)
        self.shown: tuple[str, StudySummary | None] | None = None
        """What the preview is of: the key of its line, and what was known of it then."""
        self._summaries = StudySummaries()
        """What the reading thread remembers; no other thread may use it."""

    def compose(self) -> ComposeResult:
        """Lay out heading, filter, list and keys."""
        yield Heading(readonly=self.options.readonly).data_bind(StartScreen.listing)
        yield Input(placeholder="filter: name, state, description or #tag", id="filter")
        with Horizontal():
            yield ChoiceList(name_id="list", classes="box").data_bind(
                StartScreen.listing, StartScreen.needle, StartScreen.folded, StartScreen.marked
            )
            yield PreviewPane(self.options.glyphs).data_bind(StartScreen.preview)
        yield Keys()

    def on_mount(self) -> None:
        """Read now and every other second."""
        self.query_one("#filter", Input).display = False
        self.query_one(ChoiceList).focus()
        self.reading.ask()
        self.set_interval(
            PERIOD_S, lambda: self.reading.ask() if self.app.screen is self and not self.reading.going_on else None
        )

    def on_resize(self, event: events.Resize) -> None:
        """Show both panes where there is room."""
        self.small = event.size.width < WIDE

    def on_screen_resume(self) -> None:
        """Read at once after another screen: something may have changed."""
        self.reading.ask()

    @work(thread=True, group="read")
    def _read(self) -> None:
        """Look at the store and at the protocol files, outside the event loop."""
        studies = [self._summaries.summarise(paths) for paths in iterate_studies(self.options.store)]
        protocols = find_protocols(Path.cwd(), read_recent(self.options.recent))
        listing = Listing(
            self.options.store,
            {f"study:{s.paths.name}": s for s in sorted(studies, key=lambda s: -s.changed)},
            {f"file:{p.path}": p for p in protocols},
            time.time(),
            find_store_fault(self.options.store),
        )
        self.post_message(ListingRead(listing))

    def on_listing_read(self, event: ListingRead) -> None:
        """Show what was read."""
        first = self.listing is None
        self.listing = event.listing
        if self.studies:  # before, the digits stand for the ways to begin
            number_boxes(self, PANES)
        if first and event.listing.recommended is not None:
            self.query_one(ChoiceList).move_to(event.listing.recommended)
        self.look_into(self.key)
        self.reading.end()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Look into what is under the cursor now."""
        event.stop()
        if event.view.id == "list":
            self.look_into(event.key)

    def look_into(self, key: str) -> None:
        """Start to read what is under the cursor, unless it is shown as it is now."""
        self.on_study = key in self.studies
        if key.startswith((FOLD, DO)):
            note = BEGINNINGS[key.removeprefix(DO)][1] if key.startswith(DO) else GROUP_NOTES[key.removeprefix(FOLD)]
            self.shown, self.preview = (key, None), note
            set_border_title(self.query_one(PreviewPane), "")
        study = self.studies.get(key)
        if (key, study) == self.shown or (study is None and key not in self.protocols):
            return
        if self.shown is None or self.shown[0] != key:
            self.preview = None
        self.shown = (key, study)
        title = self.protocols[key].name if study is None else study.paths.name
        set_border_title(self.query_one(PreviewPane), printable(title))
        self._look_into(key, study, self.protocols.get(key))

    @work(thread=True, group="preview", exclusive=True)
    def _look_into(self, key: str, study: StudySummary | None, protocol: ProtocolFile | None) -> None:
        from tui.app.preview import preview_protocol, preview_study

        if study is not None:
            self.post_message(PreviewRead(key, preview_study(study)))
        elif protocol is not None:
            found = preview_protocol(
                protocol.path, name=protocol.name, description=protocol.description, store=self.options.store
            )
            self.post_message(PreviewRead(key, found))

    def on_preview_read(self, event: PreviewRead) -> None:
        """Show what was read, unless the cursor has gone on."""
        if self.shown is not None and event.key == self.shown[0]:
            self.preview = event.preview

    @property
    def studies(self) -> dict[str, StudySummary]:
        """The studies by the key of their lines."""
        return {} if self.listing is None else self.listing.studies

    @property
    def protocols(self) -> dict[str, ProtocolFile]:
        """The protocol files by the key of their lines."""
        return {} if self.listing is None else self.listing.protocols

    # What keys do --------------------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """Key of the line under the cursor."""
        return self.query_one(ChoiceList).key or ""

    @property
    def chosen_study(self) -> StudyPaths | None:
        """The study under the cursor."""
        found = self.studies.get(self.key)
        return None if found is None else found.paths

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Open a study as it runs, or a protocol in the builder; fold or unfold a group."""
        event.stop()
        if event.key.startswith(FOLD):
            self.folded = self.folded ^ {event.key.removeprefix(FOLD)}
        elif event.key.startswith(DO):
            self.action_begin(event.key.removeprefix(DO))
        elif event.key in self.studies:
            self.post_message(OpenMonitor(self.studies[event.key].paths))
        elif event.key in self.protocols:
            self.post_message(OpenBuilder(self.protocols[event.key].path))

    def action_new(self) -> None:
        """Begin a new protocol from a template, or as a copy."""
        self._look_for_templates()

    @work(thread=True, group="templates")
    def _look_for_templates(self) -> None:
        self.app.call_from_thread(self.ask_beginning, find_templates())

    def ask_beginning(self, templates: list[ProtocolFile]) -> None:
        """Ask what a new protocol begins as."""

        def chosen(path: str | None) -> None:
            if path is not None:
                self.post_message(OpenBuilder(Path(path), copy=True))

        self.app.push_screen(Choose("New protocol", list_beginnings(templates, self.protocols)), chosen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let digits begin in a way or go to panes, whichever bear them, and keys act on a study where there is one."""
        if action in STUDY_ACTIONS:
            return self.on_study
        begins = not self.studies and self.listing is not None and self.listing.start is not None
        return begins if action == "begin" else bool(self.studies) if action == "pane_at" else True

    def action_begin(self, key: str) -> None:
        """Begin in one of the ways that an empty store offers."""
        if key == "tour":
            self.post_message(PlayTour())
        elif key == "new":
            self.action_new()
        elif self.listing is not None and self.listing.start is not None:
            self.post_message(RunProtocol(self.protocols[self.listing.start].path))

    def action_run(self) -> None:
        """Run the protocol, or continue the study, under the cursor."""
        if self.key in self.protocols:
            self.post_message(RunProtocol(self.protocols[self.key].path))
        elif (paths := self.chosen_study) is not None:
            self.post_message(ContinueStudy(paths))

    def action_results(self) -> None:
        """Show the measures of the study under the cursor."""
        if (paths := self.chosen_study) is not None:
            self.post_message(OpenResults(paths))

    def action_mark(self) -> None:
        """Mark the study under the cursor, so that another one is compared with it; take the mark away again."""
        if (paths := self.chosen_study) is not None:
            self.marked = "" if self.marked == self.key else self.key
            if self.marked:
                self.notify(f"marked: c on another study compares it with {printable(paths.name)}", markup=False)

    def action_compare(self) -> None:
        """Compare two arms of the study under the cursor, or one of it and one of the study that is marked."""
        if (paths := self.chosen_study) is None:
            return
        marked = self.studies.get(self.marked)
        if marked is None or marked.paths.folder == paths.folder:
            self.post_message(OpenComparison(paths))
        else:
            self.post_message(OpenComparison(marked.paths, against=paths))

    def action_cancel(self) -> None:
        """Stop the study under the cursor."""
        if not may_change(self, self.options) or (paths := self.chosen_study) is None:
            return

        def stop(yes: bool | None) -> None:
            if yes:
                ask_to_stop(self, paths, "stopping; finished runs are kept")

        self.app.push_screen(Confirm(f"Stop {printable(paths.name)}? Finished runs are kept."), stop)

    def action_delete(self) -> None:
        """Delete the study under the cursor, for good; its name has to be typed."""
        if may_change(self, self.options) and self.key in self.studies:
            ask_to_delete(self.app, self.studies[self.key], self.reading.ask)

    def action_note(self) -> None:
        """Change tags and note of the study under the cursor."""
        if (paths := self.chosen_study) is not None:
            edit_note(self.app, paths, self.options, lambda note: self.reading.ask())

    def action_copy_path(self) -> None:
        """Copy the path of what is under the cursor."""
        if self.key in self.studies:
            self.post_message(CopyText(str(self.studies[self.key].paths.folder), "path.txt"))
        elif self.key in self.protocols:
            self.post_message(CopyText(str(self.protocols[self.key].path.absolute()), "path.txt"))

    def action_preview(self) -> None:
        """Show what is said of the line under the cursor, or the list again, where there is no room for both."""
        self.previewing = not self.previewing

    def action_pane_at(self, place: int) -> None:
        """Go to a pane by its place among them, also to one that is not seen yet."""
        self.previewing = PANES[place] == "preview"
        self.query_one(f"#{PANES[place]}").focus()

    def action_filter(self) -> None:
        """Ask for what is to be shown."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_clear(self) -> None:
        """Show everything again."""
        field = self.query_one("#filter", Input)
        field.value, field.display = "", False
        self.query_one(ChoiceList).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is being typed, with the cursor on the first line whose words hold what is typed."""
        self.needle = event.value.strip()
        choices = self.query_one(ChoiceList)
        found = [line for line in choices.lines if line.key is not None and not line.key.startswith(FOLD)]
        whole = [line for line in found if self.needle.casefold() in line.text.plain.casefold()]
        for line in (whole or found)[: bool(self.needle)]:
            choices.move_to(line.key or "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, which stays filtered."""
        self.query_one(ChoiceList).focus()
