"""The app: what its screens share, and how they come and go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from engine.dispatch.start import preparing, start_supervisor
from engine.errors import EXIT_OK, NondetError
from engine.protocol.faults import printable
from engine.protocol.load import load_protocol
from engine.study.control import request
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths, enter_path, find_store, iterate_studies
from engine.tuning.choice import decide
from tui.app.clipboard import copy_with_tmux, encode_notice, encode_osc52, save_copy
from tui.app.document import Document
from tui.app.patches import end_on_hangup, end_without_terminal, survive_stray_bytes
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.dialogs import Choose, Help, Reader
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.results import ResultsScreen
from tui.app.screens.start import StartScreen
from tui.app.settings import Locations, Settings, note_recent, read_settings
from tui.app.settings import here as own_locations
from tui.app.terminal import Terminal, describe_terminal, find_obstacle

MIN_COLUMNS, MIN_ROWS = 60, 15
THEMES = {"dark": "textual-dark", "light": "textual-light", "ansi": "ansi-dark"}


class NondetApp(App[None]):
    """See the module."""

    TITLE = "nondet-tui"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Help", show=False, key_display="?"),
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+t", "change_look", "Theme", show=False),
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
        """`opened` is a protocol file or a study's folder to begin with."""
        super().__init__(ansi_color=(settings or Settings()).theme == "ansi" or None)
        self.store, self.opened, self.readonly = store, opened, readonly
        self.settings = settings or Settings()
        self.locations = locations or own_locations()
        self.terminal = terminal or describe_terminal(os.environ, self.settings.glyphs)
        few = self.terminal.few_colours and self.settings.theme == "auto"
        self.theme = THEMES.get(self.settings.theme, THEMES["ansi" if few else "dark"])
        if self.terminal.remote:
            self.animation_level = "none"

    def on_mount(self) -> None:
        """The list, and on top of it what was asked for."""
        if not self.is_headless:
            end_on_hangup()
            self.set_interval(2.0, end_without_terminal)
        self.push_screen(StartScreen(self.store))
        if self.opened is not None:
            self.open_path(self.opened)

    def open_path(self, path: Path) -> None:
        """A protocol in the builder, a study in the monitor."""
        if path.is_dir():
            self.open_monitor(StudyPaths(path.resolve()))
        else:
            self.open_builder(path)

    def on_resize(self, event: events.Resize) -> None:
        """Say so where there is too little room; nothing stops."""
        small = event.size.width < MIN_COLUMNS or event.size.height < MIN_ROWS
        shown = isinstance(self.screen, TooSmall)
        if small and not shown:
            self.push_screen(TooSmall())
        elif not small and shown:
            self.pop_screen()

    # Screens -------------------------------------------------------------------------------------------------------

    def open_monitor(self, paths: StudyPaths) -> None:
        """A study as it runs; comes back to it where it is open already."""
        self._open(paths, MonitorScreen)

    def open_results(self, paths: StudyPaths) -> None:
        """A study's measures."""
        self._open(paths, ResultsScreen)

    def _open(self, paths: StudyPaths, kind: type[MonitorScreen | ResultsScreen]) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, kind) and screen.paths.folder == paths.folder:
                while self.screen is not screen:
                    self.pop_screen()
                return
        self.push_screen(kind(paths))

    def open_builder(self, path: Path, *, copy: bool = False) -> None:
        """A protocol, to be changed; or a new one that begins as its copy."""
        try:
            document = Document(path.read_text(encoding="utf-8"), file=str(path))
        except (OSError, UnicodeDecodeError, NondetError) as error:
            self.notify(printable(str(error)), severity="error", markup=False, timeout=15)
            return
        if copy:
            taken = {paths.name for paths in iterate_studies(find_store(self.store))}
            document.set("protocol.name", free_study_name(str(document.get("protocol.name") or path.stem), taken))
        else:
            self.note_recent(path)
        self.push_screen(BuilderScreen(document, path, copy=copy))

    def open_run(self, paths: StudyPaths, run_id: str) -> None:
        """What can be done with one run: its log, and requests about it."""
        attempts = paths.run(run_id).list_attempts()
        choices = [(f"log:{a.number}", f"log of attempt {a.number}") for a in reversed(attempts)]
        choices += [("spec", "its recipe (spec.json)"), ("result", "its result (result.json)")]
        if not self.readonly:
            choices += [("pause", "pause it"), ("resume", "let it go on"), ("cancel", "cancel it")]

        def chosen(key: str | None) -> None:
            run = paths.run(run_id)
            if key is None:
                return
            if key.startswith("log:"):
                log = run.attempt(int(key.partition(":")[2])).log
                self.push_screen(Reader(f"{run_id}, {log.name}", lambda: read_quietly(log), path=str(log), follow=True))
            elif key in ("spec", "result"):
                file = run.spec if key == "spec" else run.result
                self.push_screen(Reader(f"{run_id}, {file.name}", lambda: read_quietly(file), path=str(file)))
            elif key in ("pause", "resume", "cancel"):
                request(paths, key, runs=[run_id])  # pyright: ignore[reportArgumentType] - one of the verbs
                self.notify(f"asked run {run_id} to {key}")

        self.push_screen(Choose(f"Run {run_id}", choices), chosen)

    def read_text(self, title: str, text: str) -> None:
        """A text to read."""
        self.push_screen(Reader(title, lambda: text))

    def action_keys(self) -> None:
        """The keys of the screen that is open, from its bindings."""
        if isinstance(self.screen, Help):
            return
        rows: dict[str, list[str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.description and active.enabled:
                key = binding.key_display or self.get_key_display(binding)
                rows.setdefault(binding.description, []).append(key)
        self.push_screen(Help([(" ".join(dict.fromkeys(keys)), what) for what, keys in rows.items()]))

    def action_change_look(self) -> None:
        """The next theme."""
        names = list(THEMES.values())
        self.theme = names[(names.index(self.theme) + 1) % len(names) if self.theme in names else 0]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action of the screen, in the palette."""
        for active in screen.active_bindings.values():
            binding, node = active.binding, active.node
            if binding.description and active.enabled and not binding.system:
                keys = binding.key_display or self.get_key_display(binding)
                yield SystemCommand(binding.description, f"key {keys}", self._make_runner(binding.action, node))

    def _make_runner(self, action: str, node: Any) -> Callable[[], Any]:
        return lambda: self.run_action(action, default_namespace=node)

    def action_picture(self) -> None:
        """Save the screen as SVG."""
        try:
            self.locations.copies.mkdir(parents=True, exist_ok=True)
            saved = self.save_screenshot(path=str(self.locations.copies))
        except OSError as error:
            self.notify(printable(str(error)), severity="error", markup=False, timeout=15)
            return
        self.notify(f"saved {saved}", markup=False)

    # Changing studies ----------------------------------------------------------------------------------------------

    def may_change(self) -> bool:
        """Whether this app may change anything; says so where it may not."""
        if self.readonly:
            self.notify("read only: started with --readonly", severity="warning")
        return not self.readonly

    def note_recent(self, path: Path) -> None:
        """Remember a protocol that was opened."""
        note_recent(self.locations.recent, path.resolve())

    @work(thread=True, group="run")
    def run_protocol(self, path: Path) -> None:
        """Write the study and have it trained, as --batch does; then watch it."""
        if self.readonly:
            self.call_from_thread(self.may_change)
            return
        try:
            protocol = load_protocol(path)
            self.call_from_thread(self.notify, f"{protocol.name}: trying out data and models …", markup=False)
            decided = decide(protocol, store=self.store, timed=False)
            with preparing(protocol, decided.plan, store=self.store, chosen=decided.chosen) as study:
                study.start()
        except NondetError as error:
            self.call_from_thread(self.notify, printable(str(error)), severity="error", markup=False, timeout=30)
            return
        for note in decided.notes:
            self.call_from_thread(self.notify, printable(note), severity="warning", markup=False, timeout=30)
        self.call_from_thread(self.open_monitor, study.paths)

    @work(thread=True, group="run")
    def start_training(self, paths: StudyPaths) -> None:
        """Train what a study lacks."""
        try:
            start_supervisor(paths)
        except NondetError as error:
            self.call_from_thread(self.notify, printable(str(error)), severity="error", markup=False, timeout=30)
            return
        self.call_from_thread(self.notify, f"{paths.name} goes on", markup=False)
        self.call_from_thread(self.open_monitor, paths)

    # The terminal --------------------------------------------------------------------------------------------------

    def copy(self, text: str, name: str) -> None:
        """Copy a text: through tmux, else through the terminal, else into a file that is named."""
        if self.terminal.tmux and copy_with_tmux(text):
            self.notify(f"copied {len(text)} characters through tmux")
            return
        sequence = encode_osc52(text)
        if sequence is not None:
            self.write_sequence(sequence)
            self.notify(f"copied {len(text)} characters")
            return
        path = save_copy(text, self.locations.copies, name)
        self.notify(f"too long to copy through the terminal: saved as {path}", markup=False, timeout=15)

    def write_sequence(self, sequence: str) -> None:
        """Send a control sequence to the terminal."""
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def tell_end(self, study: str, done: int, total: int) -> None:
        """A study has ended: toast, bell, desktop notice."""
        text = f"{printable(study)}: {done} of {total} runs are done"
        self.notify(text, title="study ended", markup=False, timeout=15)
        if self.settings.notices:
            self.bell()
            self.write_sequence(encode_notice(f"nondet-tui: {text}", tmux=self.terminal.tmux))

    def list_arms(self, first: StudyPaths) -> list[tuple[str, ArmMeasures]]:
        """List every measured arm of the store with a label, those of one study first."""
        folders = [first, *(p for p in iterate_studies(find_store(self.store)) if p.folder != first.folder)]
        found = []
        for paths in folders:
            metrics = find_metrics(paths.metrics)
            for arm in () if metrics is None else metrics.arms:
                if arm.n > 1:
                    found.append((f"{printable(paths.name)}: {printable(arm.name)}, n = {arm.n}", arm))
        return found


def free_study_name(name: str, taken: set[str]) -> str:
    """The name of a copy: numbered, and not that of a study that is there."""
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


class TooSmall(Screen[None]):
    """Stands in for screens that have no room."""

    def compose(self) -> Any:
        """What is needed, in as few words as fit."""
        yield Static(Text(f"too small\nneeds {MIN_COLUMNS}x{MIN_ROWS}\nruns go on"), id="small")


def read_quietly(path: Path) -> str:
    """A file's text, or why it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{path}: {error.strerror}"


def run_app(*, store: str | None, path: str | None, readonly: bool, mouse: bool) -> int:
    """Show the app until it is left.

    Returns:
        The exit code.

    Raises:
        NondetError: If the terminal cannot show it, or the path is neither a protocol nor a study.
    """
    obstacle = find_obstacle(os.environ, sys.stdout.encoding, interactive=sys.stdin.isatty() and sys.stdout.isatty())
    if obstacle is not None:
        raise NondetError(f"nondet-tui: {obstacle}")
    locations = own_locations()
    settings = read_settings(locations.config)
    opened = None if path is None else find_opened(path, store)
    survive_stray_bytes()
    app = NondetApp(store=store, opened=opened, readonly=readonly, settings=settings, locations=locations)
    app.run(mouse=mouse and settings.mouse)
    return app.return_code or EXIT_OK


def find_opened(path: str, store: str | None) -> Path:
    """A protocol file, a study's folder, or a study of the store.

    Raises:
        NondetError: If it is none of them.
    """
    for candidate in (enter_path(path), find_store(store) / path):
        if candidate.is_file() or (candidate / "plan.json").is_file():
            return candidate
    raise NondetError(
        f"nondet-tui: {printable(path)}: no protocol file, no study folder and no study in {find_store(store)}: "
        "`nondet-tui ls` lists the studies"
    )
