"""Small screens on top of others: a question, a line of text, a choice, a text to read, the keys."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from engine.study.logs import read_shown
from engine.study.opening import is_regular
from tui.app.widgets.lines import Line, LinesView, render_lines
from tui.app.widgets.owner import app_class
from tui.app.widgets.panes import LinesPane, TextPane
from tui.app.widgets.titles import Keys
from tui.text.counts import plural

Check = Callable[[str], str | None]
Remark = Callable[[str], str]


class Confirm(ModalScreen[bool]):
    """Asks a question with two answers; only y says yes, so that Enter loses nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        """Take the question, as plain text."""
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """Lay out the question and its two keys."""
        with Vertical(classes="dialog"):
            asked, _, said = self.question.partition("\n")
            yield Static(Text.assemble((asked, "bold"), "\n" if said else "", said))
            yield Static(Text("y yes   n no", style="dim"))

    def action_answer(self, answer: bool) -> None:
        """Close with an answer."""
        self.dismiss(answer)


class Prompt(ModalScreen[str | None]):
    """Asks for one line of text, checked while it is typed; typing is never blocked, accepting is."""

    app = getters.app(app_class)

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(
        self,
        title: str,
        value: str = "",
        *,
        hint: str = "",
        check: Check = lambda text: None,
        remark: Remark | None = None,
    ) -> None:
        """Take the question.

        Args:
            title: The question.
            value: What stands in the field at first.
            hint: What is said of it below.
            check: Returns what is wrong with a text, or None.
            remark: Returns what is said below of a text with which nothing is wrong, in place of the hint.
        """
        super().__init__()
        self.heading, self.value, self.hint, self.check = title, value, hint, check
        self.remark: Remark = remark or self._repeat_hint

    def _repeat_hint(self, text: str) -> str:
        return self.hint

    def compose(self) -> ComposeResult:
        """Lay out title, field, and hint or fault."""
        with Vertical(classes="dialog"):
            yield Static(Text(self.heading, style="bold"))
            yield Input(self.value)
            yield Static(self._describe(self.value) if self.value else Text(self.hint, style="dim"), id="hint")
            yield Static(Text("Enter take   Esc back", style="dim"))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong as soon as it is."""
        self.query_one("#hint", Static).update(self._describe(event.value))

    def _describe(self, text: str) -> Text:
        """Say what is wrong with a text, or what is to be said of it."""
        fault = self.check(text)
        return Text(fault, style="bold red") if fault else Text(self.remark(text), style="dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the text unless something is wrong with it."""
        if self.check(event.value) is None:
            self.dismiss(event.value)
        else:
            self.app.bell()


@dataclass
class TextRead(Message):
    """Brings the text of a file as it is now."""

    text: str


class TextView(LinesPane):
    """Shows a text, with every place that is looked for marked."""

    SHOWS = ("text", "needle")
    text: var[str] = var("")
    needle: var[str] = var("")

    def __init__(self) -> None:
        """Begin without a text."""
        super().__init__(name_id="text", cursor=False)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the text."""
        rows = [row.expandtabs(4) for row in self.text.splitlines() or ["(empty)"]]
        wrap = textwrap.TextWrapper(
            max(20, width), drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False
        ).wrap
        rows = [part for row in rows for part in (wrap(row) if len(row) > width else [row]) or [""]]
        lines: list[Line] = []
        for row in rows:
            text = Text("".join(char if char.isprintable() else " " for char in row))
            if self.needle:
                text.highlight_words([self.needle], style="reverse", case_sensitive=False)
            lines.append(Line(text))
        return lines


class ReaderHeading(TextPane):
    """Says what is read, and where in it the last found place is."""

    SHOWS = ("found",)
    found: var[str] = var("")

    def __init__(self, title: str) -> None:
        """Keep the name of the text."""
        super().__init__(classes="title")
        self.heading = title

    def make_text(self) -> Text:
        """Make the line."""
        return Text(f"{self.found}   {self.heading}".strip(), no_wrap=True, overflow="ellipsis")


class Reader(Screen[None]):
    """Shows a text to read and search: a log, a protocol, a comparison.

    A file is read in a thread, which posts `TextRead`, again and again while it is followed. The view is bound to the
    text and to what is looked for.
    """

    app = getters.app(app_class)

    text: var[str] = var("")
    needle: var[str] = var("")
    """What is looked for."""
    found: var[str] = var("")
    """Where the last found place is, in words."""
    following: var[bool] = var(False)
    """Whether the end stays in view while the text grows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "next(1)", "Next", show=False),
        Binding("N", "next(-1)", "Previous", show=False),
        Binding("f", "follow", "Follow"),
        Binding("v", "pager", "$PAGER"),
    ]

    def __init__(self, title: str, text: str = "", *, path: Path | None = None, follow: bool = False) -> None:
        """Take a text, or the file that holds it.

        Args:
            title: What it is called.
            text: The text, where there is no file.
            path: The file, which a pager can show too.
            follow: Begin at the end, and stay there.
        """
        super().__init__()
        self.heading, self.path, self.place, self.reading = title, path, -1, False
        self.set_reactive(Reader.text, text)
        self.set_reactive(Reader.following, follow)

    def compose(self) -> ComposeResult:
        """Lay out title, text and keys."""
        yield ReaderHeading(self.heading).data_bind(Reader.found)
        yield TextView().data_bind(Reader.text, Reader.needle)
        yield Keys()

    def on_mount(self) -> None:
        """Read the file, and look again every second while it is followed."""
        self.query_one(TextView).focus()
        self.read()
        self.set_interval(1.0, lambda: self.read() if self.following else None)

    def read(self) -> None:
        """Start to read the file in the background, unless that is going on."""
        if self.path is not None and not self.reading:
            self.reading = True
            self._read(self.path)

    @work(thread=True, group="read")
    def _read(self, path: Path) -> None:
        """Read the file outside the event loop."""
        self.post_message(TextRead(read_quietly(path)))

    def on_text_read(self, event: TextRead) -> None:
        """Show the text as it is now."""
        self.reading, self.text = False, event.text
        if self.following:
            self.query_one(TextView).scroll_end(animate=False)

    def watch_following(self, following: bool) -> None:
        """Go to the end at once where it is to be followed."""
        if following and self.is_mounted:
            self.read()

    def action_follow(self) -> None:
        """Stay at the end while the text grows, or stop that."""
        self.following = not self.following
        self.notify("following the end" if self.following else "not following")

    def action_search(self) -> None:
        """Ask for what to look for."""

        def look(needle: str | None) -> None:
            if needle is not None:
                self.needle, self.place, self.following = needle, -1, False
                self.action_next(1)

        self.app.push_screen(Prompt("Search for", self.needle), look)

    def action_next(self, direction: int) -> None:
        """Go to the next line with what is looked for."""
        view, needle = self.query_one(TextView), self.needle.lower()
        places = [i for i, line in enumerate(view.lines) if needle and needle in line.text.plain.lower()]
        if not places:
            said = f"not found: {self.needle}" if self.needle else "nothing is searched for: press /"
            self.notify(said, markup=False)
            return
        after = [p for p in places if p > self.place] or places
        before = [p for p in places if p < self.place][::-1] or places[::-1]
        self.place = after[0] if direction > 0 else before[0]
        view.scroll_to(y=self.place, animate=False, force=True)
        self.found = f"{places.index(self.place) + 1} of {plural(len(places), 'line')} with {self.needle}"

    def action_pager(self) -> None:
        """Hand the file to $PAGER, and come back when it ends."""
        if self.path is None or not is_regular(self.path):
            self.notify("there is no file behind this text", severity="warning")
            return
        pager = os.environ.get("PAGER") or "less"
        try:
            with self.app.suspend():
                subprocess.run([*pager.split(), str(self.path)], check=False)
        except Exception as error:  # a terminal that cannot be left, or no such program
            self.notify(f"{pager}: {error}; the file is {self.path}", severity="error", markup=False)


class Card(ModalScreen[None]):
    """Explains something on a small card, which scrolls where it is too long."""

    app = getters.app(app_class)

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,e,enter", "dismiss(None)", "Back")]

    def __init__(self, parts: Sequence[RenderableType], *, tall: bool = False) -> None:
        """Take what is said; `tall` for a card of the height of a page."""
        super().__init__()
        self.parts, self.tall = parts, tall

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        with Vertical(classes="dialog tall" if self.tall else "dialog card"):
            yield LinesView(name_id="card", cursor=False)
            yield Static(Text("Esc back", style="dim"))

    def on_mount(self) -> None:
        """Lay the text out for the width of the card."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        view = self.query_one(LinesView)
        lines = render_lines(self.parts, view.size.width - 1)
        view.set_lines(lines)
        if not self.tall:
            view.styles.height = min(len(lines), self.app.size.height - 6)
        view.focus()


class Help(ModalScreen[None]):
    """Lists the keys of the screen below, made from its bindings: it cannot say anything else than what is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss(None)", "Back")]

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        """Take pairs of keys and what they do; a row without keys is a title."""
        super().__init__()
        self.rows = rows

    def compose(self) -> ComposeResult:
        """Lay out one line per binding."""
        with Vertical(classes="dialog tall"):
            yield Static(Text("Keys of this screen", style="bold"))
            yield LinesView(name_id="keys", cursor=False)
            yield Static(Text("Esc back", style="dim"))

    def on_mount(self) -> None:
        """Fill in the lines."""
        width = max((len(keys) for keys, _ in self.rows), default=0)
        view = self.query_one(LinesView)
        view.set_lines(
            [
                Line(Text.assemble((f"{keys:{width}}  ", "bold"), what) if keys else Text(what, "bold"))
                for keys, what in self.rows
            ]
        )
        view.focus()


def read_quietly(path: Path) -> str:
    """Return a file's text, of a long one the beginning and the end; or why it cannot be read."""
    try:
        return read_shown(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
