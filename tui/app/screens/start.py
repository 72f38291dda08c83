"""The first screen: the studies of the store with their state, and the protocol files that there are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from engine.protocol.faults import printable
from engine.study.control import request
from engine.study.paths import StudyPaths, find_store, iterate_studies
from engine.study.summary import StudySummaries, StudySummary
from tui.app.host import host
from tui.app.listed_files import ProtocolFile, describe_protocol, describe_study, find_protocols
from tui.app.screens.dialogs import Choose, Confirm, Prompt
from tui.app.settings import read_recent
from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.titles import Keys, TextLine

PERIOD_S = 2.0
WELCOME = (
    "No study yet. Choose a protocol below and press Enter: it opens in the",
    "builder, where ctrl+r runs it. quickstart takes about a minute and a half",
    "on two CPU cores and needs no download.",
)


class StartScreen(Screen[None]):
    """See the module."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New"),
        Binding("r", "run", "Run"),
        Binding("t", "results", "Results"),
        Binding("C", "run", "Continue", show=False),
        Binding("x", "cancel", "Cancel"),
        Binding("d", "delete", "Delete"),
        Binding("y", "copy_path", "Copy path"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "clear", "Clear filter", show=False),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, store: str | None) -> None:
        """`store` is the command line's option."""
        super().__init__()
        self.store = store
        self.studies: dict[str, StudySummary] = {}
        self.protocols: dict[str, ProtocolFile] = {}
        self.summaries = StudySummaries()

    def compose(self) -> ComposeResult:
        """Title, filter, list, keys."""
        yield TextLine(Text(" nondet-tui   reading …"), id="title", classes="title")
        yield Input(placeholder="filter: name, state or description", id="filter")
        yield LinesView(name_id="list")
        yield Keys()

    def on_mount(self) -> None:
        """Read now and every other second."""
        self.query_one("#filter", Input).display = False
        self.query_one(LinesView).focus()
        self.read()
        self.set_interval(PERIOD_S, lambda: self.read() if self.app.screen is self else None)

    def on_screen_resume(self) -> None:
        """Back from another screen: something may have changed."""
        self.read()

    @work(thread=True, exclusive=True, group="read")
    def read(self) -> None:
        """Look at the store and at the protocol files."""
        studies = [self.summaries.summarise(paths) for paths in iterate_studies(find_store(self.store))]
        protocols = find_protocols(Path.cwd(), read_recent(host(self).locations.recent))
        self.app.call_from_thread(self._take, studies, protocols)

    def _take(self, studies: list[StudySummary], protocols: list[ProtocolFile]) -> None:
        self.studies = {f"study:{s.paths.name}": s for s in sorted(studies, key=lambda s: -s.changed)}
        self.protocols = {f"file:{p.path}": p for p in protocols}
        self.show()

    def show(self) -> None:
        """The list as it is now, filtered."""
        needle = self.query_one("#filter", Input).value.strip().lower()
        rows = {key: describe_study(s) for key, s in self.studies.items()}
        files = {key: describe_protocol(p) for key, p in self.protocols.items()}
        chosen = {key: text for key, text in rows.items() if needle in text.lower()}
        chosen_files = {key: text for key, text in files.items() if needle in text.lower()}
        store = find_store(self.store)
        lines = [Line(Text(f"Studies in {printable(str(store))}", style="bold"))]
        if not self.studies:
            lines += [Line(Text(f"  {row}", style="dim")) for row in WELCOME]
        elif not chosen:
            lines.append(Line(Text(f"  none of {len(rows)} matches {needle}", style="dim")))
        lines += [Line(Text("  " + text, no_wrap=True), key) for key, text in chosen.items()]
        lines += [Line(Text("")), Line(Text("Protocols", style="bold"))]
        lines += [Line(Text("  " + text, no_wrap=True), key) for key, text in chosen_files.items()]
        if not chosen_files:
            lines.append(Line(Text("  none; n begins a new one", style="dim")))
        self.query_one(LinesView).set_lines(lines)
        running = sum(s.state == "running" for s in self.studies.values())
        title = f" nondet-tui   {len(self.studies)} studies, {running} running   {len(self.protocols)} protocols"
        title += "   read only" if host(self).readonly else ""
        self.query_one("#title", TextLine).show(Text(title, style="bold", no_wrap=True))

    # What keys do --------------------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """Of the line under the cursor."""
        return self.query_one(LinesView).key or ""

    @property
    def chosen_study(self) -> StudyPaths | None:
        """The study under the cursor; says so where there is none."""
        found = self.studies.get(self.key)
        if found is None:
            self.notify("choose a study first", severity="warning")
        return None if found is None else found.paths

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Open a study as it runs, or a protocol in the builder."""
        event.stop()
        if event.key in self.studies:
            host(self).open_monitor(self.studies[event.key].paths)
        elif event.key in self.protocols:
            host(self).open_builder(self.protocols[event.key].path)

    def action_new(self) -> None:
        """A new protocol, from one that is there."""
        rows = [(key, describe_protocol(p)) for key, p in self.protocols.items() if p.fault is None]

        def chosen(key: str | None) -> None:
            if key is not None:
                host(self).open_builder(self.protocols[key].path, copy=True)

        self.app.push_screen(Choose("Begin from which protocol?", rows), chosen)

    def action_run(self) -> None:
        """Run the protocol, or continue the study, under the cursor."""
        if not host(self).may_change():
            return
        if self.key in self.protocols:
            host(self).run_protocol(self.protocols[self.key].path)
        elif (paths := self.chosen_study) is not None:
            host(self).start_training(paths)

    def action_results(self) -> None:
        """The table of the study under the cursor."""
        if (paths := self.chosen_study) is not None:
            host(self).open_results(paths)

    def action_cancel(self) -> None:
        """Stop the study under the cursor."""
        if not host(self).may_change() or (paths := self.chosen_study) is None:
            return

        def stop(yes: bool | None) -> None:
            if yes:
                request(paths, "cancel")
                self.notify("stopping; finished runs are kept")

        self.app.push_screen(Confirm(f"Stop {printable(paths.name)}? Finished runs are kept."), stop)

    def action_delete(self) -> None:
        """Delete the study under the cursor, for good; its name has to be typed."""
        if not host(self).may_change() or (paths := self.chosen_study) is None:
            return
        summary = self.studies[self.key]
        if summary.state in ("running", "paused", "stopping"):
            self.notify("it is running: cancel it first (x)", severity="warning")
            return

        def delete(name: str | None) -> None:
            if name == paths.name:
                shutil.rmtree(paths.folder, ignore_errors=True)
                left = "not all of it could be deleted" if paths.folder.exists() else "deleted"
                self.notify(f"{paths.name}: {left}", markup=False)
                self.read()

        title = f"Delete {printable(paths.name)} with its {summary.done} finished runs? Type its name"
        check = lambda text: None if text == paths.name else f"type {paths.name} to delete it, Esc keeps it"  # noqa: E731
        self.app.push_screen(Prompt(title, check=check, hint="this cannot be undone"), delete)

    def action_copy_path(self) -> None:
        """The path of what is under the cursor."""
        if self.key in self.studies:
            host(self).copy(str(self.studies[self.key].paths.folder), "path.txt")
        elif self.key in self.protocols:
            host(self).copy(str(self.protocols[self.key].path.absolute()), "path.txt")

    def action_filter(self) -> None:
        """Type what is to be shown."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_clear(self) -> None:
        """Show everything again."""
        field = self.query_one("#filter", Input)
        field.value, field.display = "", False
        self.query_one(LinesView).focus()
        self.show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self.show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the list, still filtered."""
        self.query_one(LinesView).focus()
