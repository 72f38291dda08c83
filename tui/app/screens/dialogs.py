"""Small screens on top of others: a question, a line of text, a choice, a text to read, the keys."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.titles import Keys

Check = Callable[[str], str | None]


class Confirm(ModalScreen[bool]):
    """A question with two answers; Enter says yes only where nothing is lost by it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        """The question, as plain text."""
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """The question and its two keys."""
        with Vertical(classes="dialog"):
            yield Static(Text(self.question))
            yield Static(Text("y yes   n no", style="dim"))

    def action_answer(self, answer: bool) -> None:
        """Close with an answer."""
        self.dismiss(answer)


class Prompt(ModalScreen[str | None]):
    """One line of text, checked while it is typed; typing is never blocked, accepting is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, title: str, value: str = "", *, hint: str = "", check: Check = lambda text: None) -> None:
        """`check` returns what is wrong with a text, or None."""
        super().__init__()
        self.heading, self.value, self.hint, self.check = title, value, hint, check

    def compose(self) -> ComposeResult:
        """Title, field, hint or fault."""
        with Vertical(classes="dialog"):
            yield Static(Text(self.heading, style="bold"))
            yield Input(self.value)
            yield Static(Text(self.hint, style="dim"), id="hint")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong as soon as it is."""
        fault = self.check(event.value)
        self.query_one("#hint", Static).update(Text(fault, style="bold") if fault else Text(self.hint, style="dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the text unless something is wrong with it."""
        if self.check(event.value) is None:
            self.dismiss(event.value)
        else:
            self.app.bell()


class Choose(ModalScreen[str | None]):
    """One of some lines."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Back")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        """`choices` are pairs of a key and its line."""
        super().__init__()
        self.heading, self.choices = title, choices

    def compose(self) -> ComposeResult:
        """Title and lines."""
        with Vertical(classes="dialog tall"):
            yield Static(Text(self.heading, style="bold"))
            yield LinesView(name_id="choices")
            yield Static(Text("Enter choose   Esc back", style="dim"))

    def on_mount(self) -> None:
        """Fill in the lines."""
        view = self.query_one(LinesView)
        view.set_lines([Line(Text(line), key) for key, line in self.choices])
        view.focus()

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Close with the choice."""
        event.stop()
        self.dismiss(event.key)


class Reader(Screen[None]):
    """A text to read and search: a log, a protocol, a table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "next(1)", "Next", show=False),
        Binding("N", "next(-1)", "Previous", show=False),
        Binding("f", "follow", "Follow"),
        Binding("v", "pager", "$PAGER"),
    ]

    def __init__(self, title: str, read: Callable[[], str], *, path: str | None = None, follow: bool = False) -> None:
        """`read` gives the text as it is now; `path` is the file behind it, for a pager."""
        super().__init__()
        self.heading, self.read, self.path, self.following = title, read, path, follow
        self.needle, self.place = "", -1

    def compose(self) -> ComposeResult:
        """Title, text, keys."""
        yield Static(Text(self.heading), classes="title")
        yield LinesView(name_id="text", cursor=False)
        yield Keys()

    def on_mount(self) -> None:
        """Show the text, and look again while it is followed."""
        self.query_one(LinesView).focus()
        self._load()
        self.set_interval(1.0, self._tick)

    def _tick(self) -> None:
        if self.following:
            self._load()

    def _load(self) -> None:
        view = self.query_one(LinesView)
        rows = self.read().splitlines() or ["(empty)"]
        lines = []
        for row in rows:
            text = Text("".join(char if char.isprintable() else " " for char in row.expandtabs(4)))
            if self.needle:
                text.highlight_words([self.needle], style="reverse", case_sensitive=False)
            lines.append(Line(text))
        view.set_lines(lines)
        if self.following:
            view.scroll_end(animate=False)

    def action_follow(self) -> None:
        """Stay at the end while the text grows, or stop that."""
        self.following = not self.following
        self._load()
        self.notify("following the end" if self.following else "not following")

    def action_search(self) -> None:
        """Ask for what to look for."""

        def look(needle: str | None) -> None:
            if needle is not None:
                self.needle, self.place, self.following = needle, -1, False
                self._load()
                self.action_next(1)

        self.app.push_screen(Prompt("Search for", self.needle), look)

    def action_next(self, direction: int) -> None:
        """The next line with what is looked for."""
        view = self.query_one(LinesView)
        places = [
            i for i, line in enumerate(view.lines) if self.needle and self.needle.lower() in line.text.plain.lower()
        ]
        if not places:
            self.notify(
                f"not found: {self.needle}" if self.needle else "nothing is searched for: press /", markup=False
            )
            return
        after = [p for p in places if p > self.place] or places
        before = [p for p in places if p < self.place][::-1] or places[::-1]
        self.place = after[0] if direction > 0 else before[0]
        view.scroll_to(y=self.place, animate=False, force=True)
        self.query_one(".title", Static).update(
            Text(f"{self.heading}   {places.index(self.place) + 1} of {len(places)} lines with {self.needle}")
        )

    def action_pager(self) -> None:
        """Hand the file to $PAGER, and come back when it ends."""
        if self.path is None or not Path(self.path).exists():
            self.notify("there is no file behind this text", severity="warning")
            return
        pager = os.environ.get("PAGER") or "less"
        try:
            with self.app.suspend():
                subprocess.run([*pager.split(), self.path], check=False)
        except Exception as error:  # a terminal that cannot be left, or no such program
            self.notify(f"{pager}: {error}; the file is {self.path}", severity="error", markup=False)


class Help(ModalScreen[None]):
    """The keys of the screen below, made from its bindings: they cannot say anything else than what is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss(None)", "Back")]

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        """Pairs of keys and what they do."""
        super().__init__()
        self.rows = rows

    def compose(self) -> ComposeResult:
        """One line per binding."""
        with Vertical(classes="dialog tall"):
            yield Static(Text("Keys of this screen", style="bold"))
            yield LinesView(name_id="keys", cursor=False)
            yield Static(Text("Esc back", style="dim"))

    def on_mount(self) -> None:
        """Fill in the lines."""
        width = max((len(keys) for keys, _ in self.rows), default=0)
        view = self.query_one(LinesView)
        view.set_lines([Line(Text.assemble((f"{keys:{width}}  ", "bold"), what)) for keys, what in self.rows])
        view.focus()
