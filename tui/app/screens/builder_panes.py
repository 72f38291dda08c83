"""The parts of the builder: each is bound to what it shows of the screen's attributes, and draws that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from engine.catalog.sources import SOURCES
from engine.protocol.faults import printable
from tui.app.document import Document
from tui.app.estimate import Estimate, Timing
from tui.app.previewed import ProtocolPreview
from tui.app.screens.builder_explain import explain_setting, explain_source
from tui.app.screens.builder_lines import (
    CELL,
    MORE,
    SETTING,
    Cell,
    arm_lines,
    find_cell,
    find_empty,
    setting_lines,
)
from tui.app.screens.builder_plan import (
    describe_notes,
    describe_state,
    describe_time,
    describe_warnings,
    fault_lines,
    plan_lines,
    title_text,
)
from tui.app.screens.judgement import Judgement
from tui.app.source_text import style_source
from tui.app.widgets.explained import EXPLAIN
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane, TextPane
from tui.app.widgets.titles import TITLE_FRAME, set_border_title
from tui.text.explanations import explain_source as explain_bare

CARD_WIDTH = 58
"""Columns of an explanation on a card or beside the mouse, where the terminal is as narrow as can be, too."""

ABOUT_MORE = (
    "Enter shows every setting, also those at their default; / finds one by letters of its name or of what it does."
)

BRIEF_ROWS = 8
"""Rows below which an explanation leaves out what stands elsewhere."""

PLAN_ROWS = (5, 12)
"""Rows of the plan, frame included, at least and at most."""


class Heading(TextPane):
    """Says what the protocol is called, whether it is saved, what comes of it, and where its file is."""

    SHOWS = ("document", "text", "saved", "path", "fresh", "judgement", "preview", "estimate")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    saved: var[str] = var("")
    path: var[Path] = var(Path())
    fresh: var[bool] = var(False)
    judgement: var[Judgement] = var(Judgement())
    preview: var[ProtocolPreview | None] = var(None)
    estimate: var[Estimate | None] = var(None)

    def on_resize(self, event: events.Resize) -> None:
        """Leave out what has no room in another width."""
        self.redraw()

    def make_text(self) -> Text:
        """Make the line from the protocol as it stands."""
        plan, faults = self.judgement.plan, self.judgement.faults
        time = (
            ""
            if self.estimate is None or self.preview is None or not self.preview.left
            else describe_time(self.estimate)
        )
        obstacles = () if self.preview is None else self.preview.obstacles
        state = describe_state(plan, faults, time, obstacles)
        place = "no file yet" if self.fresh else printable(str(self.path.absolute()))
        return title_text(
            self.document, self.path.stem, saved=self.saved, state=state, place=place, width=self.size.width
        )


class ArmTable(LinesPane):
    """Lists the arms with a mark per source; Enter on one renames it, a click on a mark switches it."""

    BORDER_TITLE = "Arms: which sources vary"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "rename", "Rename"),
        replace(EXPLAIN, show=False),  # what it says stands beside the arms, and the foot has little room
        Binding("left,h", "screen.column(-1)", "Source", show=False),
        Binding("right,l", "screen.column(1)", "Next source", show=False),
    ]
    SHOWS = ("document", "text", "judgement", "column", "estimate", "key", "alone")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    judgement: var[Judgement] = var(Judgement())
    column: var[int] = var(0)
    estimate: var[Estimate | None] = var(None)
    alone: var[bool] = var(False)
    """Whether nothing stands below."""

    class CellClicked(Message):
        """Tells that a mark was clicked."""

        def __init__(self, arm: int, source: int, *, again: bool) -> None:
            """Take the place, and whether the cursor was there already."""
            super().__init__()
            self.arm, self.source, self.again = arm, source, again

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the protocol as it stands."""
        plan, faults = self.judgement.plan, self.judgement.faults
        arm = None if self.key is None else int(self.key)
        # Where the settings stand below, they have what the arms leave over.
        self.styles.max_height = None if self.alone else max(4, len(self.document.arms) + 4)
        return arm_lines(
            self.document, plan, faults, empty=find_empty(self.judgement), cell=Cell(arm, self.column),
            estimate=self.estimate, width=width, theme=self.app.theme,
        )  # fmt: skip

    def list_explained(self) -> list[str]:
        """List the source that the switch is at."""
        return [f"{CELL}:{self.key or ''}:{list(SOURCES)[self.column]}"]

    def draw_explained(self, keys: Sequence[str]) -> list[RenderableType]:
        """Draw what is said of sources, here or in general."""
        return draw_on_screen(self, keys)

    def action_rename(self) -> None:
        """Ask what the arm is called."""
        self.action_choose()

    def on_click(self, event: events.Click) -> None:
        """Go to the mark that is clicked; switch it where the cursor is there already."""
        place = event.get_content_offset(self)
        row = -1 if place is None else place.y + self.scroll_offset.y
        key = self.lines[row].key if 0 <= row < len(self.lines) else None
        names = [printable(name) for name in self.document.names]
        source = None if place is None else find_cell(names, self.size.width, place.x, timed=self.estimate is not None)
        if key is not None and source is not None:
            event.prevent_default()
            again = key == self.key and source == self.column
            self.move_to(key)
            self.post_message(self.CellClicked(int(key), source, again=again))


class SettingTable(LinesPane):
    """Lists the settings in groups; Enter on one changes it."""

    BORDER_TITLE = "Settings"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "change", "Change")]
    SHOWS = ("document", "text", "judgement", "needle", "everything")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    judgement: var[Judgement] = var(Judgement())
    needle: var[str] = var("")
    everything: var[bool] = var(False)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the protocol as it stands."""
        set_border_title(
            self, f"Settings that hold the letters {printable(self.needle)}" if self.needle else "Settings"
        )
        return setting_lines(
            self.document, self.judgement.faults, needle=self.needle, everything=self.everything, width=width,
            height=self.size.height,
        )  # fmt: skip

    def list_explained(self) -> list[str]:
        """List the setting under the cursor."""
        return [f"{SETTING}:{self.key or MORE}"]

    def draw_explained(self, keys: Sequence[str]) -> list[RenderableType]:
        """Draw what is said of settings."""
        return draw_on_screen(self, keys)

    def action_change(self) -> None:
        """Ask for the setting's value."""
        self.action_choose()


class ExplainView(LinesPane):
    """Explains the thing under the cursor."""

    SHOWS = ("document", "text", "judgement", "preview", "estimate", "subject", "column")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    judgement: var[Judgement] = var(Judgement())
    preview: var[ProtocolPreview | None] = var(None)
    estimate: var[Estimate | None] = var(None)
    subject: var[str] = var("")
    """The key of a setting, or the number of an arm."""
    column: var[int] = var(0)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the protocol as it stands."""
        key = self.list_explained()[0]
        head = self.name_explained(key)
        source, _, title = head.partition(": ")
        has_room = len(head) + TITLE_FRAME <= self.outer_size.width
        set_border_title(self, head if has_room else title or source)
        return self.explain(key, width=width, brief=self.size.height < BRIEF_ROWS)

    def list_explained(self) -> list[str]:
        """List what stands here."""
        if self.subject == MORE or "." in self.subject:
            return [f"{SETTING}:{self.subject}"]
        return [f"{CELL}:{self.subject}:{list(SOURCES)[self.column]}"]

    def name_explained(self, key: str) -> str:
        """Return what heads an explanation."""
        name = key.rpartition(":")[2]
        return explain_bare(name).title if name in SOURCES else "More settings" if name == MORE else name

    def explain(self, key: str, *, width: int, brief: bool) -> list[Line]:
        """Explain a source in an arm, or a setting, by its key."""
        plan, faults = self.judgement.plan, self.judgement.faults
        kind, _, name = key.partition(":")
        if name == MORE:
            return wrap_lines(ABOUT_MORE, width)
        if kind == SETTING:
            done = 0 if self.preview is None else self.preview.done
            return explain_setting(self.document, name, plan, faults, done=done, width=width, brief=brief)
        arm, _, source = name.rpartition(":")
        return explain_source(
            self.document, int(arm) if arm else None, source, plan, faults, empty=find_empty(self.judgement),
            estimate=self.estimate, width=width, theme=self.app.theme, brief=brief,
        )  # fmt: skip

    def draw_explained(self, keys: Sequence[str]) -> list[RenderableType]:
        """Draw what would stand here of some keys, all of it."""
        parts: list[RenderableType] = []
        for key in keys:
            head = Text(self.name_explained(key), "bold")
            parts += [head, *(line.text for line in self.explain(key, width=CARD_WIDTH, brief=False))]
        return parts


def draw_on_screen(widget: Widget, keys: Sequence[str]) -> list[RenderableType]:
    """Draw explanations as the pane beside a widget of the same screen would show them."""
    return widget.screen.query_one(ExplainView).draw_explained(keys)


class PlanView(LinesPane):
    """Says what would be trained and what it takes, or all that is wrong, first what is wrong under the cursor."""

    BORDER_TITLE = "Plan"
    SHOWS = ("judgement", "preview", "estimate", "timing", "timed_now", "subject", "store")
    judgement: var[Judgement] = var(Judgement())
    preview: var[ProtocolPreview | None] = var(None)
    estimate: var[Estimate | None] = var(None)
    timing: var[Timing] = var(Timing())
    timed_now: var[bool] = var(False)
    subject: var[str] = var("")
    store: var[Path] = var(Path())
    readonly: var[bool] = var(False)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the last judgement."""
        plan, faults, protocol = self.judgement.plan, self.judgement.faults, self.judgement.protocol
        if plan is None or protocol is None:
            count = (
                f": {len(faults)} {'fault' if len(faults) == 1 else 'faults'}, nothing can be trained" if faults else ""
            )
            set_border_title(self, f"Plan{count}")
            at = (
                self.subject
                if "." in self.subject
                else f"arm[{int(self.subject) + 1}]"
                if self.subject.isdigit()
                else ""
            )
            return self.fit(fault_lines(faults, width, at=at))
        set_border_title(self, "Plan")
        folder = show_folder(self.store / protocol.name)
        lines = plan_lines(
            plan, self.preview, estimate=self.estimate, folder=folder, width=width, theme=self.app.theme,
            warnings=describe_warnings(plan, self.preview),
            notes=describe_notes(
                protocol, plan, self.preview, self.timing, timed_now=self.timed_now, readonly=self.readonly
            ),
        )  # fmt: skip
        return self.fit(lines)

    def fit(self, lines: Sequence[Line]) -> Sequence[Line]:
        """Make the pane as high as it takes, up to a part of the screen."""
        least, most = PLAN_ROWS
        self.styles.height = max(least, min(len(lines) + 2, most, self.app.size.height // 4))
        return lines


def show_folder(folder: Path) -> str:
    """Return a folder as printable text, as short as it can be typed here."""
    for base, mark in ((Path.cwd(), "."), (Path.home(), "~")):
        if folder.is_relative_to(base):
            return printable(f"{mark}/{folder.relative_to(base)}")
    return printable(str(folder))


class SourceView(LinesPane):
    """Shows the text as it will be saved; Enter changes it."""

    BORDER_TITLE = "TOML, as it will be saved"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.edit_text", "Edit")]
    SHOWS = ("text",)
    text: var[str] = var("")

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per line of the text; what begins a part of it is bold, what explains it dim."""
        return [Line(style_source(row)) for row in self.text.splitlines()]
