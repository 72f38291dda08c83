"""The app: which screens come and go, and what is done when one of them asks for it.

The start screen is imported with the app; the others after it is shown, or when one is opened before that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App
from textual.await_remove import AwaitRemove
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.message import Message
from textual.widget import Widget

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.paths import StudyPaths, find_store, iterate_studies
from tui.app.ascii_filter import AsciiFilter
from tui.app.asking import complain
from tui.app.clipboard import copy, encode_notice
from tui.app.key_help import list_keys
from tui.app.legible_filter import LegibleFilter
from tui.app.messages import (
    ContinueStudy,
    CopyText,
    ExplainWanted,
    OpenBuilder,
    OpenComparison,
    OpenMonitor,
    OpenResults,
    ProtocolSaved,
    RunProtocol,
    StudyEnded,
)
from tui.app.options import Options, may_change
from tui.app.patches import end_on_hangup, end_without_terminal
from tui.app.schemes import SCHEMES, choose_theme, name_theme, next_theme
from tui.app.screens.dialogs import Card, Help
from tui.app.screens.start import StartScreen
from tui.app.screens.too_small import MIN_COLUMNS, MIN_ROWS, TooSmall
from tui.app.settings import Locations, Settings, note_recent
from tui.app.settings import here as own_locations
from tui.app.templates import begin_text, free_study_name, is_template
from tui.app.terminal import Terminal, describe_terminal
from tui.app.themes import THEMES
from tui.app.upkeep import PERIOD_S, Upkeep
from tui.text.counts import be, plural

if TYPE_CHECKING:
    from tui.app.document import Document
    from tui.app.screens.monitor import MonitorScreen
    from tui.app.screens.results import ResultsScreen
    from tui.app.trainings import Trainings

HERE = Path(__file__).parent

ASCII_FILTER, LEGIBLE_FILTER = AsciiFilter(), LegibleFilter()


@dataclass
class DocumentRead(Message):
    """Brings a protocol that is to be changed."""

    document: Document
    path: Path
    copy: bool
    """Whether it is a new one, which has no file yet."""


def load_offers() -> type[Provider]:
    """Load what the palette offers, when it is opened first."""
    from tui.app.palette import Offers

    return Offers


class NondetApp(App[None]):
    """Shows the screens, and acts on the messages that they post."""

    TITLE = "nondet-tui"
    # Whole paths, for the tour too, which is elsewhere. All at once: a screen with its own has everything parsed again.
    CSS_PATH: ClassVar[str | PurePath | list[str | PurePath] | None] = [
        HERE / "app.tcss",
        HERE / "screens" / "results.tcss",
    ]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {load_offers}
    COMMAND_PALETTE_DISPLAY = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Help", show=False, key_display="?"),
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+t", "change_theme", "Theme", show=False),
        Binding("f12", "picture", "Picture of the screen (SVG)", show=False),
    ]

    def __init__(
        self,
        *,
        store: str | None = None,
        opened: Path | None = None,
        readonly: bool = False,
        settings: Settings | None = None,
        locations: Locations | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        """Keep what the app was started with.

        Args:
            store: The store that the command line names.
            opened: A protocol file or a study's folder to begin with.
            readonly: Start, stop and delete nothing.
            settings: The user's settings.
            locations: Where files of the app are.
            terminal: What the terminal can show.
        """
        super().__init__(ansi_color=(settings or Settings()).theme == "ansi" or None)
        self.opened, self.settings = opened, settings or Settings()
        self.upkeep = Upkeep()
        self.tour_wanted = False
        """Whether the app was left for the tour."""
        self.locations = locations or own_locations()
        self.terminal = terminal or describe_terminal(os.environ, self.settings.glyphs)
        self.options = Options(
            store=Path(os.path.realpath(find_store(store))),
            readonly=readonly,
            glyphs=self.terminal.glyphs,
            refresh_s=self.settings.refresh_s,
            recent=self.locations.recent,
        )
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = choose_theme(self.settings.theme, few_colours=self.terminal.few_colours)
        if self.terminal.remote:
            self.animation_level = "none"

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what every row passes before it is sent: greys stay legible, and ASCII is spelled where need be."""
        filters = [*super().get_line_filters(), *([LEGIBLE_FILTER] if self.no_color else [])]
        return [*filters, ASCII_FILTER] if self.options.glyphs == "ascii" else filters

    def get_key_display(self, binding: Binding) -> str:
        """Return what a key is called; in ASCII by its word, since arrows have no likeness there."""
        shown = super().get_key_display(binding)
        return shown if self.options.glyphs != "ascii" or shown.isascii() else binding.key.replace("ctrl+", "^")

    def on_mount(self) -> None:
        """Show the list, and on top of it what was asked for."""
        if not self.is_headless:
            end_on_hangup()
            self.set_interval(2.0, end_without_terminal)
            self.set_interval(PERIOD_S, self.upkeep.collect)
            self.call_after_refresh(self.run_worker, self.upkeep.begin, thread=True)
        self.push_screen(StartScreen(self.options))
        if self.opened is not None:
            self.open_path(self.opened)

    def open_path(self, path: Path) -> None:
        """Open a protocol in the builder, a study in the monitor."""
        if path.is_dir():
            self.open_monitor(StudyPaths(path.resolve()))
        else:
            self.open_builder(path)

    async def on_event(self, event: events.Event) -> None:
        """Remember when somebody was there last."""
        if isinstance(event, events.InputEvent):
            self.upkeep.touch()
        await super().on_event(event)

    def _prune(self, *nodes: Widget, parent: DOMNode | None = None) -> AwaitRemove:
        """Remove nodes; below a screen that is removed nothing is laid out anew.

        Textual 8.2.8 paints the screen below when it comes to the front, and all of it once more when the one that was
        above it is gone.
        """
        return super()._prune(*nodes, parent=None if parent is self else parent)

    def on_resize(self, event: events.Resize) -> None:
        """Show a notice while the terminal is too small; nothing that runs is stopped by that."""
        small = event.size.width < MIN_COLUMNS or event.size.height < MIN_ROWS
        shown = isinstance(self.screen, TooSmall)
        if small and not shown:
            self.push_screen(TooSmall())
        elif not small and shown:
            self.pop_screen()

    # Screens -------------------------------------------------------------------------------------------------------

    def open_monitor(self, paths: StudyPaths) -> None:
        """Show a study as it runs."""
        from tui.app.screens.monitor import MonitorScreen

        self._open(paths, MonitorScreen(paths, self.options))

    def open_results(self, paths: StudyPaths, comparison: OpenComparison | None = None) -> None:
        """Show a study's measures; of a comparison, the tab of two arms."""
        from tui.app.screens.results import ResultsScreen

        self._open(paths, ResultsScreen(paths, self.options))
        if comparison is not None and isinstance(self.screen, ResultsScreen):
            self.screen.open_comparison(comparison.against)

    def _open(self, paths: StudyPaths, new: MonitorScreen | ResultsScreen) -> None:
        """Return to the study's screen of this type where one is open already; otherwise push the new screen."""
        for screen in self.screen_stack:
            if isinstance(screen, type(new)) and screen.paths.folder == paths.folder:
                while self.screen is not screen:
                    self.pop_screen()
                return
        self.push_screen(new)

    @work(thread=True, group="open")
    def open_builder(self, path: Path, *, copy: bool = False) -> None:
        """Read a protocol, and open it to be changed; or a new one that begins as its copy."""
        from engine.protocol.load import read_text
        from tui.app.document import Document

        try:
            text = read_text(path)
            document = Document(begin_text(text, path) if copy else text, file=str(path))
        except (OSError, NondetError) as error:
            complain(self, str(error))
            return
        if copy:
            taken = {paths.name for paths in iterate_studies(self.options.store)}
            name = str(document.get("protocol.name") or path.stem)
            if not is_template(path) or name in taken:
                document.set("protocol.name", free_study_name(name, taken))
        else:
            note_recent(self.locations.recent, path.resolve())
        self.post_message(DocumentRead(document, path, copy))

    def on_document_read(self, event: DocumentRead) -> None:
        """Open the builder on what was read."""
        from tui.app.screens.builder import BuilderScreen

        self.push_screen(BuilderScreen(event.document, event.path, self.options, copy=event.copy))

    # What screens ask for ------------------------------------------------------------------------------------------

    def on_open_monitor(self, event: OpenMonitor) -> None:
        """Show a study as it runs."""
        self.open_monitor(event.paths)

    def on_open_results(self, event: OpenResults) -> None:
        """Show a study's measures."""
        self.open_results(event.paths)

    def on_open_comparison(self, event: OpenComparison) -> None:
        """Compare two arms."""
        self.open_results(event.paths, event)

    def on_open_builder(self, event: OpenBuilder) -> None:
        """Open a protocol to be changed."""
        self.open_builder(event.path, copy=event.copy)

    @property
    def trainings(self) -> Trainings:
        """Return what begins trainings in the store."""
        from tui.app.trainings import Trainings

        return Trainings(self, self.options.store)

    def on_run_protocol(self, event: RunProtocol) -> None:
        """Say what training a protocol would take, and ask; where that is allowed."""
        if may_change(self, self.options):
            self.trainings.offer(event.path, event.seconds)

    def on_continue_study(self, event: ContinueStudy) -> None:
        """Say what a study lacks, and ask whether to train it; where that is allowed."""
        if may_change(self, self.options):
            self.trainings.offer_rest(event.paths)

    def on_copy_text(self, event: CopyText) -> None:
        """Copy a text."""
        self.copy(event.text, event.name)

    def on_explain_wanted(self, event: ExplainWanted) -> None:
        """Explain something on a card."""
        self.push_screen(Card(event.parts))

    def on_protocol_saved(self, event: ProtocolSaved) -> None:
        """Remember the protocol among the recent ones."""
        note_recent(self.locations.recent, event.path.resolve())

    def on_study_ended(self, event: StudyEnded) -> None:
        """Tell the end of a study: toast, bell, desktop notice."""
        failed = f", {event.failed} failed" if event.failed else ""
        text = f"{printable(event.study)}: {event.done} of {plural(event.total, 'run')} {be(event.done)} done{failed}"
        self.notify(text, title="study ended", markup=False, timeout=15)
        if self.settings.notices:
            self.bell()
            self.write_sequence(encode_notice(f"nondet-tui: {text}", tmux=self.terminal.tmux))

    def action_keys(self) -> None:
        """Show the keys of the screen that is open, from its bindings."""
        if isinstance(self.screen, Help):
            return
        keys = [
            (binding.key_display or self.get_key_display(binding), binding.action, binding.description)
            for binding in (active.binding for active in self.screen.active_bindings.values() if active.enabled)
            if binding.description
        ]
        self.push_screen(Help(list_keys(keys, getattr(self.screen, "KEY_GROUPS", {}))))

    def action_change_theme(self) -> None:
        """Take the next theme."""
        self.action_take_theme(name_theme(next_theme(self.theme)))

    def on_play_tour(self) -> None:
        """Leave for the tour; whoever started the app plays it, and comes back."""
        self.tour_wanted = True
        self.exit()

    def action_take_theme(self, name: str) -> None:
        """Take a theme, a key of SCHEMES, and keep it among the user's settings."""
        from tui.app.keeping import keep_setting

        self.theme = SCHEMES[name].theme
        try:
            keep_setting("theme", name, self.locations.config)
        except NondetError as error:
            self.notify(printable(str(error)), title=f"theme: {name}", severity="warning", markup=False)
            return
        self.notify(printable(f"kept in {self.locations.config}"), title=f"theme: {name}", markup=False, timeout=3)

    def action_picture(self) -> None:
        """Save the screen as SVG."""
        from tui.app.pictures import save_picture

        try:
            saved = save_picture(self, self.locations.copies)
        except OSError as error:
            complain(self, str(error))
            return
        self.notify(f"saved {saved}", markup=False)

    # The terminal --------------------------------------------------------------------------------------------------

    def copy(self, text: str, name: str) -> None:
        """Copy a text: through tmux, else through the terminal, else into a file that is named."""
        said = copy(text, tmux=self.terminal.tmux, send=self.write_sequence, beside=self.locations.copies / name)
        self.notify(said, markup=False, timeout=15)

    def write_sequence(self, sequence: str) -> None:
        """Send a control sequence to the terminal."""
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()
