"""The builder's way to a program of one's own: its words are typed, seeds found in them, and its self-test is run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import getters
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.dispatch.start import preparing
from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.protocol.command_words import ask_for_help, join_words, propose, split_words
from engine.protocol.definition import Protocol
from engine.protocol.faults import printable
from engine.study.selftest_record import describe_selftest
from engine.tuning.selftest import run_selftest
from tui.app.document import Document
from tui.app.program import (
    HELP_S,
    apply_proposal,
    ask_program,
    describe_found,
    describe_remark,
    find_working_folder,
    show_words,
)
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Prompt
from tui.app.widgets.lines import Line, LinesView, wrap_lines
from tui.app.widgets.owner import app_class

TAKE, ASK, TYPE = "take", "ask", "type"

PLACE_COLUMNS = 18


@dataclass(frozen=True)
class Asking:
    """Holds what the questions about a program are about."""

    app: App[None]
    document: Document
    path: Path
    fresh: bool
    changed: Callable[[], None]

    def ask_words(self) -> None:
        """Ask for the command that trains once."""
        folder = find_working_folder(self.document, self.path, fresh=self.fresh)

        def check(text: str) -> str | None:
            try:
                words = split_words(text)
            except ValueError:
                return "a quotation does not end"
            return None if words else "type the command that trains once, or Esc"

        def typed(text: str | None) -> None:
            if text is not None:
                self.offer(split_words(text), folder)

        hint = f"As you would type it in {folder}; no shell reads it. Seeds that you give are found: --seed 1"
        prompt = Prompt(
            "The command that trains once",
            show_words(self.document),
            hint=hint,
            check=check,
            remark=lambda text: describe_remark(propose(split_words(text), folder=folder)),
        )
        self.app.push_screen(prompt, typed)

    def offer(self, words: list[str], folder: Path, *, said: str = "", fault: str = "") -> None:
        """Show what was found, and ask what is to be done with it.

        Args:
            words: The command, as it was typed.
            folder: Where it is started.
            said: What the program says on --help, where it was asked.
            fault: Why it did not say that.
        """
        proposal = propose(words, folder=folder, offered=said)
        help_words = ask_for_help(words)
        rows: list[tuple[str, str | Text]] = [("", "Found")]
        rows += [
            ("", Text(f"  {place:{PLACE_COLUMNS}}{printable(where)}")) for place, where in describe_found(proposal)
        ]
        rows += [] if proposal.found else [("", Text("  no argument that looks like a seed"))]
        rows += [("", "Next")]
        if proposal.found:
            rows.append((TAKE, f"  take it over: {printable(join_words(proposal.run))}"))
        if not said:
            what = f"  ask the program for more: runs {printable(join_words(help_words))}"
            rows.append((ASK, Text(what).append(f"   your code, for at most {HELP_S:g} s", "dim")))
        rows.append((TYPE, "  type it again"))

        def chosen(key: str | None) -> None:
            if key == TAKE:
                apply_proposal(self.document, proposal, folder, path=self.path, fresh=self.fresh)
                self.changed()
            elif key == ASK:
                self._ask_help(words, folder, help_words)
            elif key == TYPE:
                self.ask_words()

        first = TAKE if proposal.found else TYPE if said else ASK
        self.app.push_screen(Choose("Your program", rows, chosen=first, head=printable(fault)), chosen)

    def _ask_help(self, words: list[str], folder: Path, help_words: list[str]) -> None:
        """Run the program's --help in a thread that the end of the app does not wait for."""
        self.app.notify(f"runs {printable(join_words(help_words))}", markup=False, timeout=5)

        def run() -> None:
            said, fault = "", ""
            try:
                said = ask_program(help_words, folder)
            except (OSError, TimeoutError) as error:
                fault = f"{join_words(help_words)}: {getattr(error, 'strerror', None) or error}"
            if said and not propose(words, folder=folder, offered=said).found:
                fault = f"its --help names no seed; it says: {said.strip().splitlines()[-1][:200]}"
            with suppress(RuntimeError):  # the app has ended meanwhile
                self.app.call_from_thread(self.offer, words, folder, said=said or " ", fault=fault)

        threading.Thread(target=run, daemon=True, name="help").start()


def describe_selftest_question(protocol: Protocol, plan: Plan) -> str:
    """Ask whether a program is to be run now, as its self-test wants."""
    runs = 0 if plan.selftest is None else len(plan.selftest.runs)
    words = printable(join_words(protocol.command.run or [])) if protocol.command is not None else ""
    return (
        f"Run your program now, {runs} times at most? Does it repeat itself, does each seed change something?\n"
        f"{words}\nThese runs are the study's first ones, and are kept."
    )


@dataclass
class Told(Message):
    """Brings a line of what a self-test does, or has found."""

    text: str
    ended: bool = False


class SelfTestLines(LinesView):
    """Shows what a self-test does, and what it has found."""


class SelfTestScreen(ModalScreen[None]):
    """Runs the self-test of a program and shows each step; leaving it lets the test go on."""

    app = getters.app(app_class)
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Back")]

    told: var[tuple[str, ...]] = var(())
    """The lines so far."""
    ended: var[bool] = var(False)

    def __init__(self, protocol: Protocol, plan: Plan, store: Path) -> None:
        """Take what is tested."""
        super().__init__()
        self.protocol, self.plan, self.store = protocol, plan, store

    def compose(self) -> ComposeResult:
        """Lay out title, lines and what the keys do."""
        with Vertical(classes="dialog tall"):
            yield Static(Text(f"Self-test of {printable(self.protocol.name)}", style="bold"))
            yield SelfTestLines(name_id="told", cursor=False)
            yield Static(Text("", style="dim"), id="foot")

    def on_mount(self) -> None:
        """Start it in a thread that the end of the app does not wait for."""
        self.query_one(SelfTestLines).focus()
        self.watch_ended()
        threading.Thread(target=self._run, daemon=True, name="self-test").start()

    def _run(self) -> None:
        def tell(text: str, *, ended: bool = False) -> None:
            with suppress(RuntimeError):  # the app has ended meanwhile
                self.post_message(Told(text, ended))

        selftest = self.plan.selftest
        try:
            if selftest is None:
                raise NondetError("this protocol runs no program of your own")
            with preparing(self.protocol, self.plan, store=str(self.store)) as study:
                paths = study.paths
            tell(f"runs of the program, which are kept in {paths.folder}")
            found = run_selftest(self.protocol, paths, selftest, tell=tell)
            for line in describe_selftest(found):
                tell(line)
            tell("the study may go on: ctrl+r" if found.refusal is None else "nothing is trained as it is", ended=True)
        except NondetError as error:
            tell(str(error), ended=True)

    def on_told(self, event: Told) -> None:
        """Add a line."""
        self.told, self.ended = (*self.told, event.text), self.ended or event.ended

    def watch_told(self) -> None:
        """Show all lines, each wrapped."""
        view = self.query_one(SelfTestLines)
        width = max(20, view.size.width - 2)
        lines = [line for text in self.told for line in wrap_lines(printable(text), width, indent="  ")]
        view.set_lines(lines or [Line(Text("preparing"))])
        view.scroll_end(animate=False)

    def watch_ended(self) -> None:
        """Say what the key does."""
        foot = "Esc back" if self.ended else "Esc back; the test goes on as long as this program runs"
        self.query_one("#foot", Static).update(Text(foot, style="dim"))
