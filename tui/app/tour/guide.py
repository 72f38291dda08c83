"""Plays the tour: the app on a study that comes along, with a card that tells what is seen."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events, work
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.errors import EXIT_OK, NondetError
from engine.study.metrics_record import StudyMeasures, find_metrics
from engine.study.paths import StudyPaths
from tui.app.app import NondetApp
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.start import StartScreen
from tui.app.settings import Locations, Settings
from tui.app.tour.packing import unpack_study
from tui.app.tour.steps import STEPS, Step


class TourCard(Static):
    """Tells what is seen, at the foot of a screen."""

    DEFAULT_CSS = """
    TourCard { dock: bottom; height: auto; margin: 0 0 1 0; padding: 0 1; border: round $accent; background: $surface;
        border-title-color: $accent; border-title-style: bold; border-subtitle-color: $text-muted; }
    """

    def tell(self, step: Step, number: int, measured: StudyMeasures) -> None:
        """Tell one stop of the tour."""
        self.border_title = f"Tour {number + 1}/{len(STEPS)}: {step.title}"
        self.border_subtitle = "→ on   ← back   q leave"
        self.update(Text(step.tell(measured)))


class TourApp(NondetApp):
    """Is the app, read only, on the study that comes along, with a guide."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "step(1)", "Tour: on", show=False, priority=True),
        Binding("left", "step(-1)", "Tour: back", show=False, priority=True),
        Binding("q", "leave", "Leave the tour", show=False, priority=True),
    ]

    def __init__(self, folder: Path, measured: StudyMeasures, **arguments: Any) -> None:
        """Take the study's folder and its measures, and what the app takes."""
        super().__init__(store=str(folder.parent), readonly=True, **arguments)
        self.folder, self.measured = folder, measured
        self.step = 0

    def on_mount(self) -> None:
        """Begin at the first stop; the app has shown its first screen by then."""
        self.call_after_refresh(self.show_step)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave arrows and letters to a field that is typed into."""
        busy = isinstance(self.focused, Input) or isinstance(self.screen, ModalScreen)
        return not (action in ("step", "leave") and busy)

    def action_leave(self) -> None:
        """End the tour."""
        self.exit()

    def action_step(self, by: int) -> None:
        """Go to another stop."""
        self.step = max(0, min(self.step + by, len(STEPS) - 1))
        self.show_step()

    def show_step(self) -> None:
        """Show the screen of the stop, and tell it there."""
        step = STEPS[self.step]
        while not isinstance(self.screen, StartScreen) and len(self.screen_stack) > 1:
            if self._is_at(step):
                break
            self.pop_screen()
        if not self._is_at(step):
            self._open_place(step)
        self.call_after_refresh(self._tell)

    def _is_at(self, step: Step) -> bool:
        names = {
            "home": "StartScreen",
            "monitor": "MonitorScreen",
            "results": "ResultsScreen",
            "builder": "BuilderScreen",
        }
        return type(self.screen).__name__ == names[step.place]

    def _open_place(self, step: Step) -> None:
        paths = StudyPaths(self.folder)
        if step.place == "monitor":
            self.open_monitor(paths)
        elif step.place == "results":
            self.open_results(paths)
        elif step.place == "builder":
            self.open_builder(paths.protocol)

    @work(exclusive=True, group="tour")
    async def _tell(self) -> None:
        """Put the card on the screen, once it is there."""
        step = STEPS[self.step]
        if not self._is_at(step):  # a protocol is read in a thread first
            self.set_timer(0.05, self._tell)
            return
        for screen in self.screen_stack:
            if screen is not self.screen:
                await screen.query(TourCard).remove()
        if step.place == "results":
            await self.run_action(f"page('{step.tab}')", self.screen)
        elif isinstance(self.screen, StartScreen):
            self.screen.previewing = step.tab == "preview"
        cards = self.screen.query(TourCard)
        card = cards.first() if cards else TourCard()
        if not cards:
            await self.screen.mount(card)
        card.tell(step, self.step, self.measured)
        self.call_after_refresh(self._make_room, card)

    def _make_room(self, card: TourCard) -> None:
        """Let the screen share out what the card leaves of it."""
        screen = self.screen
        if isinstance(screen, MonitorScreen | BuilderScreen):
            screen.covered = card.outer_size.height
            screen.on_resize(events.Resize(screen.size, screen.size))


def play_tour(locations: Locations, settings: Settings) -> int:
    """Play the tour in a terminal, until it is left; of the user's files, it changes the settings alone.

    Returns:
        The exit code.

    Raises:
        NondetError: If the study cannot be unpacked.
    """
    try:
        store = Path(tempfile.mkdtemp(prefix="nondet-tui-tour-"))
    except OSError as error:
        raise NondetError(f"the tour needs a folder for temporary files ({error.strerror}): set TMPDIR") from None
    try:
        folder = unpack_study(store)
        measured = find_metrics(StudyPaths(folder).metrics)
        if measured is None:
            raise NondetError("the study of the tour has no measures: install nondet-tui again")
        own = replace(locations, recent=store / "recent", copies=store / "copies")
        app = TourApp(folder, measured, settings=settings, locations=own)
        app.run(mouse=settings.mouse)
        return app.return_code or EXIT_OK
    finally:
        shutil.rmtree(store, ignore_errors=True)
