"""The first screen: the studies of the store with their state, and the protocol files that there are."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Input

from engine.protocol.faults import printable
from engine.study.opening import is_there
from engine.study.paths import StudyPaths, find_store_fault, iterate_studies
from engine.study.summary import StudySummaries, StudySummary
from tui.app.asking import ask
from tui.app.listed_files import ProtocolFile, describe_protocol, describe_study, find_protocols
from tui.app.messages import ContinueStudy, CopyText, OpenBuilder, OpenMonitor, OpenResults, RunProtocol
from tui.app.options import Options, may_change
from tui.app.screens.dialogs import Choose, Confirm, Prompt
from tui.app.settings import read_recent
from tui.app.widgets.lines import Line, LinesView, wrap_lines
from tui.app.widgets.owner import app_class
from tui.app.widgets.panes import LinesPane, TextPane
from tui.app.widgets.titles import Keys
from tui.text.format import UNICODE

PERIOD_S = 2.0
ORIGINS = {
    "recent": "Protocols that were opened lately",
    "here": "Protocols in this folder and in ./protocols",
    "shipped": "Protocols that come with the program",
}
"""Origin of a protocol file → what stands above those of it."""

WELCOME = (
    "No study yet. Choose a protocol below and press Enter: it opens in the",
    "builder, where ctrl+r runs it. quickstart takes about a minute and a half",
    "on two CPU cores and needs no download.",
)


@dataclass(frozen=True)
class Listing:
    """Holds what there is to choose from, as it was last read."""

    store: Path
    studies: dict[str, StudySummary]
    """By the key of their lines, the latest first."""
    protocols: dict[str, ProtocolFile]
    """By the key of their lines."""
    read_at: float
    """Unix time, which ages are counted from."""
    fault: str | None = None
    """Why the store cannot be read."""


@dataclass
class ListingRead(Message):
    """Brings what there is to choose from."""

    listing: Listing


class Heading(TextPane):
    """Says in one line how much there is."""

    SHOWS = ("listing",)
    listing: var[Listing | None] = var(None)

    def __init__(self, *, readonly: bool) -> None:
        """Take whether nothing may be changed, which is said too."""
        super().__init__(id="title", classes="title")
        self.note = "   read only" if readonly else ""

    def make_text(self) -> Text:
        """Make the line from the last listing."""
        if self.listing is None:
            return Text(" nondet-tui   reading …")
        studies, protocols = self.listing.studies, self.listing.protocols
        running = sum(study.state == "running" for study in studies.values())
        title = f" nondet-tui   {count(len(studies), 'study', 'studies')}, {running} running"
        title += f"   {count(len(protocols), 'protocol', 'protocols')}{self.note}"
        return Text(title, style="bold", no_wrap=True)


class ChoiceList(LinesPane):
    """Lists the studies, then the protocol files, that match a filter."""

    SHOWS = ("listing", "needle")
    listing: var[Listing | None] = var(None)
    needle: var[str] = var("")

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the last listing."""
        listing = self.listing
        if listing is None:
            return ()
        studies = self._match({key: describe_study(s, listing.read_at) for key, s in listing.studies.items()})
        lines = [Line(Text(f"Studies in {printable(str(listing.store))}", style="bold"))]
        if listing.fault is not None:
            lines += wrap_lines(f"{UNICODE.failed} {printable(listing.fault)}", width)
        elif not listing.studies:
            lines += [Line(Text(f"  {row}", style="dim")) for row in WELCOME]
        elif not studies:
            lines.append(Line(Text(f"  none of {len(listing.studies)} matches {self.needle}", style="dim")))
        lines += studies
        for origin, title in ORIGINS.items():
            there = {key: describe_protocol(p) for key, p in listing.protocols.items() if p.origin == origin}
            if found := self._match(there):
                lines += [Line(Text("")), Line(Text(title, style="bold")), *found]
        if not any(line.key in listing.protocols for line in lines):
            lines += [Line(Text("")), Line(Text("No protocol; n begins a new one", style="dim"))]
        return lines

    def _match(self, rows: dict[str, str]) -> list[Line]:
        found = {key: row for key, row in rows.items() if self.needle in row.lower()}
        return [Line(Text("  " + row, no_wrap=True), key) for key, row in found.items()]


def count(number: int, one: str, many: str) -> str:
    """Return a number with the word that goes with it."""
    return f"{number} {one if number == 1 else many}"


class StartScreen(Screen[None]):
    """Lists what can be opened.

    A clock has the store and the protocol files read in a thread, which posts `ListingRead`. The heading and the list
    are bound to what was read, and the list to what is typed into the filter.
    """

    app = getters.app(app_class)

    listing: var[Listing | None] = var(None)
    needle: var[str] = var("")
    """What is filtered for, in small letters."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New"),
        Binding("r", "run", "Run"),
        Binding("t", "results", "Results"),
        Binding("C", "run", "Continue", show=False),
        Binding("x", "cancel", "Cancel"),
        Binding("d", "delete", "Delete"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "clear", "Clear filter", show=False),
        Binding("q", "app.quit", "Quit"),
        Binding("y", "copy_path", "Copy path"),
    ]

    def __init__(self, options: Options) -> None:
        """Keep the options of the app; nothing is read yet."""
        super().__init__()
        self.options = options
        self.reading = False
        self._summaries = StudySummaries()
        """What the reading thread remembers; no other thread may use it."""

    def compose(self) -> ComposeResult:
        """Lay out heading, filter, list and keys."""
        yield Heading(readonly=self.options.readonly).data_bind(StartScreen.listing)
        yield Input(placeholder="filter: name, state or description", id="filter")
        yield ChoiceList(name_id="list").data_bind(StartScreen.listing, StartScreen.needle)
        yield Keys()

    def on_mount(self) -> None:
        """Read now and every other second."""
        self.query_one("#filter", Input).display = False
        self.query_one(ChoiceList).focus()
        self.read()
        self.set_interval(PERIOD_S, lambda: self.read() if self.app.screen is self else None)

    def on_screen_resume(self) -> None:
        """Read at once after another screen: something may have changed."""
        self.read()

    def read(self) -> None:
        """Start to read protocols and studies in the background, unless that is going on."""
        if not self.reading:
            self.reading = True
            self._read()

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
        self.reading, self.listing = False, event.listing

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
        """The study under the cursor; the person is told where there is none."""
        found = self.studies.get(self.key)
        if found is None:
            self.notify("choose a study first", severity="warning")
        return None if found is None else found.paths

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Open a study as it runs, or a protocol in the builder."""
        event.stop()
        if event.key in self.studies:
            self.post_message(OpenMonitor(self.studies[event.key].paths))
        elif event.key in self.protocols:
            self.post_message(OpenBuilder(self.protocols[event.key].path))

    def action_new(self) -> None:
        """Begin a new protocol from one that is there."""
        rows = [(key, describe_protocol(p)) for key, p in self.protocols.items() if p.fault is None]

        def chosen(key: str | None) -> None:
            if key is not None:
                self.post_message(OpenBuilder(self.protocols[key].path, copy=True))

        self.app.push_screen(Choose("Begin from which protocol?", rows), chosen)

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

    def action_cancel(self) -> None:
        """Stop the study under the cursor."""
        if not may_change(self, self.options) or (paths := self.chosen_study) is None:
            return

        def stop(yes: bool | None) -> None:
            if yes:
                ask(self, paths, "cancel", "stopping; finished runs are kept")

        self.app.push_screen(Confirm(f"Stop {printable(paths.name)}? Finished runs are kept."), stop)

    def action_delete(self) -> None:
        """Delete the study under the cursor, for good; its name has to be typed."""
        if not may_change(self, self.options) or (paths := self.chosen_study) is None:
            return
        summary = self.studies[self.key]
        if summary.state in ("running", "paused", "stopping"):
            self.notify("it is running: cancel it first (x)", severity="warning")
            return

        def delete(name: str | None) -> None:
            if name == paths.name:
                self.delete(paths)

        title = f"Delete {printable(paths.name)} with its {summary.done} finished runs? Type its name"

        def check(text: str) -> str | None:
            return None if text == paths.name else f"type {paths.name} to delete it, Esc keeps it"

        self.app.push_screen(Prompt(title, check=check, hint="this cannot be undone"), delete)

    @work(thread=True, group="delete")
    def delete(self, paths: StudyPaths) -> None:
        """Delete a study outside the event loop: it may have thousands of files."""
        shutil.rmtree(paths.folder, ignore_errors=True)
        left = "not all of it could be deleted" if is_there(paths.folder) else "deleted"
        self.notify(f"{paths.name}: {left}", markup=False)
        self.app.call_from_thread(self.read)

    def action_copy_path(self) -> None:
        """Copy the path of what is under the cursor."""
        if self.key in self.studies:
            self.post_message(CopyText(str(self.studies[self.key].paths.folder), "path.txt"))
        elif self.key in self.protocols:
            self.post_message(CopyText(str(self.protocols[self.key].path.absolute()), "path.txt"))

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
        """Filter while it is being typed."""
        self.needle = event.value.strip().lower()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, which stays filtered."""
        self.query_one(ChoiceList).focus()
