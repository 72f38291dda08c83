"""The tab that says where replicas part: of every arm from its files, of two runs from training both again.

Another process trains them; its answer is kept in the study, and shown when the tab is opened the next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var

from engine.errors import NondetError
from engine.study.divergence_record import list_divergences
from engine.study.parting import Partings, read_partings
from engine.study.paths import StudyPaths
from engine.study.study_plan import read_plan
from tui.app.options import Options
from tui.app.schemes import arm_style
from tui.app.screens.dialogs import Prompt
from tui.app.screens.results_data import ShownMeasures
from tui.app.widgets.lines import Line, LinesView, wrap_lines
from tui.app.widgets.owner import app_class
from tui.app.widgets.panes import LinesPane
from tui.app.widgets.titles import set_border_title
from tui.commands.diverge_runs import check_sides, find_out, find_sides, tell
from tui.text.divergence import (
    Told,
    align_rows,
    draw_growth,
    list_rates,
    list_reasons,
    list_repetition,
    make_rows,
    name_members,
    name_pair,
    say_axis,
    say_place,
)
from tui.text.format import ASCII, Symbols, mark_arm, shorten
from tui.text.growth import PLOT_ROWS
from tui.text.parting import describe_partings
from tui.text.tables import arm_name

MOST_KEPT = 40
"""Answers that are listed: those of the arms in the plan's order."""

HINT = "D trains two replicas again and names the step and the operation in which they part"


@dataclass(frozen=True)
class Known:
    """Holds what is known of where replicas part."""

    partings: dict[str, Partings]
    """By arm, from the files alone."""
    told: tuple[Told, ...]
    """What was found out by training two again."""
    fault: str = ""

    def find(self, key: str) -> Told | None:
        """Return the answer of a line; of an arm's line its first. None where there is none, or no longer."""
        kind, _, name = key.partition(" ")
        if kind == "told":
            return next((one for one in self.told if _name_line(one) == key), None)
        return next((one for one in self.told if one.found.arms[0] == name), None)


@dataclass
class PartingsRead(Message):
    """Brings what is known."""

    known: Known


@dataclass
class Retrained(Message):
    """Brings that two runs were trained again; or why they could not be."""

    fault: str = ""


def _name_line(told: Told) -> str:
    """Return the key of an answer's line: that of its runs, whatever answers stand before it."""
    return f"told {' '.join(told.found.runs)}"


def read_known(paths: StudyPaths) -> Known:
    """Read where replicas part, and what was found out about two of them."""
    try:
        plan = read_plan(paths)
        arms = [arm for arm in plan.arms if arm.group == 1 and len(arm.runs) > 1]
        partings = {arm.name: read_partings(paths, arm.runs) for arm in arms}
    except NondetError as error:
        return Known({}, (), str(error))
    told: list[Told] = []
    for found in list_divergences(paths, MOST_KEPT):
        try:
            words = [part for arm, number in zip(found.arms, found.replicas, strict=True)
                     for part in (f"{paths.folder}:{arm}", str(number))]  # fmt: skip
            sides = find_sides(words, store=None)
            is_own = tuple(side.run for side in sides) == found.runs  # another study's arms may have the same names
            told.append(tell(found, sides, check_sides(sides)) if is_own else Told(found))
        except NondetError:
            told.append(Told(found))  # of another study, or of a plan that has changed since
    return Known(partings, tuple(told))


class PartingList(LinesPane):
    """Lists the arms with when their replicas part, and below each what was found out about two of them."""

    SHOWS = ("measured", "known")
    measured: var[ShownMeasures | None] = var(None)
    known: var[Known | None] = var(None)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="partings", classes="box")
        self.symbols = symbols
        self.border_title = "When do replicas part?"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm, and one per answer that is kept."""
        if self.known is None or self.measured is None:
            return [Line(Text("reading …"))]
        if self.known.fault:
            return wrap_lines(self.known.fault, width)
        arms = [(n, arm) for n, arm in self.measured.number_arms() if arm.name in self.known.partings]
        longest = min(max((len(arm_name(arm)) for _, arm in arms), default=0), max(12, width // 3))
        lines: list[Line] = []
        for number, arm in arms:
            name = f"{mark_arm(number, self.symbols)} {shorten(arm_name(arm), longest, self.symbols):{longest}}  "
            text = Text(name, arm_style(number, self.app.theme), no_wrap=True)
            told = describe_partings(self.known.partings[arm.name])
            lines.append(Line(text.append(told, "not bold default"), f"arm {arm.name}"))
            for one in self.known.told:
                if one.found.arms[0] == arm.name:
                    said = f"  {name_members(one.found)}: {say_place(one.found)}"
                    lines.append(Line(Text(shorten(said, max(20, width), self.symbols)), _name_line(one)))
        return lines or [Line(Text("no arm has two replicas"))]


class PartingAnswer(LinesPane):
    """Says where two runs part and how the difference grows."""

    SHOWS = ("told", "training", "fault")
    told: var[Told | None] = var(None)
    training: var[str] = var("")
    """What is being trained again."""
    fault: var[str] = var("")

    def __init__(self, options: Options) -> None:
        """Take what can be shown."""
        super().__init__(name_id="parting", classes="box", cursor=False)
        self.options = options

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make what was found out, with a plot and a table of the growth."""
        said = f"training {self.training} again {self.options.symbols.ellipsis}" if self.training else ""
        set_border_title(self, said or "Where two part")
        lines = wrap_lines(self.fault, width) if self.fault else []
        if self.told is None:
            return [*lines, *wrap_lines(HINT, width)]
        found = self.told.found
        lines += [Line(Text(name_pair(found), "bold")), *wrap_lines(say_place(found), width)]
        details = [*list_reasons(self.told), *list_repetition(self.told)]
        for one in details:
            lines += [Line(Text("  ").append_text(row.text)) for row in wrap_lines(one, width - 4, indent="  ")]
        if not found.growth:
            return lines
        lines.append(Line(Text("")))
        for one in list_rates(found):
            lines += wrap_lines(one, width)
        lines += [Line(Text("")), Line(Text(say_axis(found), "dim"))]
        lines += self.draw_plot(width)
        symbols = self.options.symbols
        head, *rows = align_rows(make_rows(found, symbols))
        return [*lines, Line(Text("")), Line(Text(head, "dim")), *(Line(Text(row)) for row in rows)]

    def draw_plot(self, width: int) -> list[Line]:
        """Draw the growth, each curve in a colour."""
        assert self.told is not None, "there is something to draw"
        glyphs = "ascii" if self.options.symbols is ASCII else self.options.glyphs
        lines: list[Line] = []
        for row in draw_growth(self.told.found, width, PLOT_ROWS, glyphs):
            text = Text(no_wrap=True)
            for cell in row:
                text.append(cell.char, "" if cell.colour is None else arm_style(cell.colour, self.app.theme))
            lines.append(Line(text))
        return lines


class PartingPage(Vertical):
    """Lists where replicas part, and has two of them trained again."""

    app = getters.app(app_class)

    measured: var[ShownMeasures | None] = var(None)
    page: var[str] = var("")
    known: var[Known | None] = var(None)
    told: var[Told | None] = var(None)
    training: var[str] = var("")
    fault: var[str] = var("")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("D", "diverge", "Train two again"),
        Binding("tab", "app.focus_next", "Next list", show=False),
    ]

    def __init__(self, paths: StudyPaths, options: Options) -> None:
        """Take the study; nothing of it is read yet."""
        super().__init__(id="partingpage")
        self.paths, self.options = paths, options

    def compose(self) -> ComposeResult:
        """Lay out the list and the answer."""
        cls = PartingPage
        yield PartingList(self.options.symbols).data_bind(cls.measured, cls.known)
        yield PartingAnswer(self.options).data_bind(cls.told, cls.training, cls.fault)

    def watch_page(self) -> None:
        """Read the files when the tab is opened."""
        if self.page == "parting" and self.is_mounted:
            self._read()

    @work(thread=True, exclusive=True, group="partings", description="read when replicas part")
    def _read(self) -> None:
        """Read outside the event loop: there is a file per run."""
        self.post_message(PartingsRead(read_known(self.paths)))

    def on_partings_read(self, event: PartingsRead) -> None:
        """Show what was read, and what is under the cursor."""
        self.known = event.known
        self.show(self.query_one(PartingList).key)

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Show the answer under the cursor."""
        event.stop()
        self.show(event.key)

    def show(self, key: str | None) -> None:
        """Show the answer of a line, if there is one."""
        if self.known is not None and key is not None:
            self.told = self.known.find(key)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Ask for two replicas of the arm that is chosen."""
        event.stop()
        self.action_diverge()

    def find_arm(self) -> str | None:
        """Return the arm of the line under the cursor."""
        key = self.query_one(PartingList).key
        if key is None or self.known is None:
            return None
        kind, _, name = key.partition(" ")
        if kind == "arm":
            return name
        told = self.known.find(key)
        return None if told is None else told.found.arms[0]

    def action_diverge(self) -> None:
        """Ask which two replicas of the arm are trained again."""
        arm = self.find_arm()
        if arm is None or self.known is None or arm not in self.known.partings:
            return
        if self.options.readonly:
            self.notify("the app only shows: nothing is started")
            return
        if self.training:
            self.notify("two runs are being trained again: wait for them")
            return
        first = self.known.partings[arm].first
        pair = (1, 2) if first is None else first.replicas

        def check(text: str) -> str | None:
            return None if len(text.split()) == 2 else "two numbers, as 1 3"

        def take(text: str | None) -> None:
            if text is not None:
                one, other = text.split()
                self.training, self.fault = f"{arm}, replicas {one} and {other},", ""
                self._train(f"{self.paths.folder}:{arm}", one, other)

        hint = "two numbers; both are trained again"
        self.app.push_screen(Prompt("Which two replicas", f"{pair[0]} {pair[1]}", hint=hint, check=check), take)

    @work(thread=True, group="diverge", description="train two runs again")
    def _train(self, arm: str, one: str, other: str) -> None:
        """Ask another process, which ends with the app, to train both again."""
        try:
            sides = find_sides([arm, one, other], store=None)
            check_sides(sides)
            find_out(sides, None)
        except NondetError as error:
            self.post_message(Retrained(str(error)))
            return
        self.post_message(Retrained())

    def on_retrained(self, event: Retrained) -> None:
        """Show the answer, or why there is none."""
        self.training, self.fault = "", event.fault
        self._read()
