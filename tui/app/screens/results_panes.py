"""The parts of the results: each is bound to what it shows of the screen's attributes, and draws that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import var

from engine.catalog.measure_declaration import Measure
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures
from engine.study.notes import take_note
from tui.app.schemes import arm_style
from tui.app.screens.results_data import PLAN_ORDER, ShownMeasures
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane, TextPane
from tui.text.counts import plural
from tui.text.diagnostics import make_condition_notes
from tui.text.disputes import explain_absence, list_disputes
from tui.text.explanations import name_measure, style_key
from tui.text.few_measures import explain_numbers
from tui.text.forest import ForestLine, draw_forest
from tui.text.format import UNICODE, Symbols, mark_arm, shorten
from tui.text.notes import format_tags
from tui.text.readout import describe_arm, describe_figure
from tui.text.tables import arm_name, pick_columns
from tui.text.text_figures import SIMILARITY_NOTES, draw_layer_heat, list_similarity

FRAMED_COLUMNS = 100
"""Columns from which on parts of the screen have frames."""


@dataclass(frozen=True)
class Tab:
    """One tab of the results."""

    page: str
    title: str
    short: str
    """Where room is short."""


TABS = (
    Tab("answer", "Answer", "Answer"),
    Tab("table", "Table", "Table"),
    Tab("intervals", "Intervals", "Int."),
    Tab("time", "Over time", "Time"),
    Tab("layers", "Layers", "Layers"),
    Tab("pairs", "Pairs", "Pairs"),
    Tab("examples", "Examples", "Ex."),
    Tab("compare", "Compare", "Comp."),
    Tab("provenance", "Provenance", "Origin"),
    Tab("parting", "Parting", "Part"),
)
"""In the order of the digits that open them; that of the tenth is 0."""


class Heading(TextPane):
    """Says in one line which study it is, how much of it is measured, and what goes on."""

    SHOWS = ("measured", "fault", "sort", "measuring", "progress")
    measured: var[ShownMeasures | None] = var(None)
    fault: var[str | None] = var(None)
    sort: var[str] = var(PLAN_ORDER)
    measuring: var[bool] = var(False)
    progress: var[str] = var("")

    def __init__(self, study: str) -> None:
        """Take the study's name."""
        super().__init__(id="title", classes="title")
        self.study = printable(study)

    def on_resize(self, event: events.Resize) -> None:
        """Cut the name for another width."""
        self.redraw()

    def make_text(self) -> Text:
        """Make the line; the name gives way to the rest."""
        rest = self._describe()
        room = max(8, self.size.width - len(rest) - 2)
        return Text(f" {shorten(self.study, room)}{rest}", style="bold", no_wrap=True)

    def _describe(self) -> str:
        going_on = f"   measuring{f' {self.progress}' if self.progress else ''} {UNICODE.ellipsis}"
        if self.fault is not None:
            return f"   {UNICODE.failed} cannot be measured"
        if self.measured is None:
            return going_on
        arms = self.measured.arms
        done, planned = sum(arm.n for arm in arms), sum(arm.planned for arm in arms)
        shared = "" if self.measured.runs >= planned else f" from {plural(self.measured.runs, 'run')}"
        order = "" if self.sort == PLAN_ORDER else f"   by {self.sort.replace('_', ' ')}"
        tags = format_tags(take_note(self.measured.note).tags)
        shown = f"   {tags}" if tags else ""
        return f"   {done} of {plural(planned, 'replica')}{shared}{order}{shown}{going_on if self.measuring else ''}"


@dataclass
class TabWanted(Message):
    """Tells that a tab was clicked."""

    page: str


class TabLine(TextPane):
    """Shows the tabs with their digits; a click opens one."""

    SHOWS = ("page",)
    page: var[str] = var("answer")

    def on_resize(self, event: events.Resize) -> None:
        """Choose titles for another width."""
        self.redraw()

    def _list_titles(self) -> list[str]:
        """List the titles with their digits, short ones where there is no room for others."""
        long, short = (
            [f"{n % 10} {title}" for n, title in enumerate(titles, start=1)]
            for titles in ((tab.title for tab in TABS), (tab.short for tab in TABS))
        )
        return [f" {text} " for text in long] if sum(len(t) + 2 for t in long) <= self.size.width else short

    def make_text(self) -> Text:
        """Make the line."""
        parts = [
            Text(title, style="bold reverse" if tab.page == self.page else "")
            for tab, title in zip(TABS, self._list_titles(), strict=True)
        ]
        return Text(" ", no_wrap=True).join(parts) if len(parts[0]) < 10 else Text("", no_wrap=True).join(parts)

    def on_click(self, event: events.Click) -> None:
        """Ask for the tab that is clicked."""
        titles = self._list_titles()
        gap, start = 0 if titles[0].startswith(" ") else 1, 0
        for tab, title in zip(TABS, titles, strict=True):
            if start <= event.x < start + len(title):
                self.post_message(TabWanted(tab.page))
            start += len(title) + gap


def list_marks(measured: ShownMeasures, symbols: Symbols) -> list[str]:
    """List the marks of all arms by their places in the plan."""
    return [mark_arm(number, symbols) for number in range(len(measured.arms))]


def paint_forest(line: ForestLine, theme: str, strong: set[str] | None = None) -> Line:
    """Return a line of a forest plot in the arms' colours; names of arms in `strong` are underlined."""
    text = Text(no_wrap=True)
    for piece in line.pieces:
        if piece.arm is not None:
            style = arm_style(piece.arm, theme)
            if strong and piece.strong and line.arm in strong:
                style += Style(underline=True)
        else:
            style = Style(bold=True) if piece.strong else Style(dim=True)
        text.append(piece.text, style if piece.measure is None else style + style_key(name_measure(piece.measure)))
    return Line(text, line.arm)


class Forest(LinesPane):
    """Draws every measure of every arm with its interval."""

    FRAME = "interval"

    SHOWS = ("measured", "sort", "published")
    measured: var[ShownMeasures | None] = var(None)
    sort: var[str] = var(PLAN_ORDER)
    published: var[bool] = var(True)

    def __init__(self, symbols: Symbols, *, name_id: str) -> None:
        """Take what can be shown."""
        super().__init__(name_id=name_id, classes="box", cursor=name_id == "forest")
        self.symbols = symbols
        self.border_title = "Intervals, 95 % over replicas"
        self.border_subtitle = f"{symbols.published} published"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the plot for the room at hand."""
        if self.measured is None or width < 1:
            return []
        columns = pick_columns(self.measured.arms, self.symbols)
        drawn = draw_forest(
            self.measured.number_arms(self.sort), columns, width, self.size.height, symbols=self.symbols,
            marks=list_marks(self.measured, self.symbols),
            reference=self.measured.reference if self.published else None,
        )  # fmt: skip
        return [paint_forest(line, self.app.theme) for line in drawn]


class CellReadout(LinesPane):
    """Says in words what the figure under the cursor is, and what there is to know of its arm."""

    SHOWS = ("arm", "measure", "measured")
    measured: var[ShownMeasures | None] = var(None)
    arm: var[ArmMeasures | None] = var(None)
    measure: var[Measure | None] = var(None)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(classes="readout", cursor=False)
        self.symbols = symbols

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the sentences."""
        if self.arm is None or self.measured is None or width < 1:
            return []
        said = describe_arm(self.arm, self.symbols)
        if self.measure is not None:
            said = [describe_figure(self.arm, self.measure, self.symbols, reference=self.measured.reference), *said[1:]]
        said += make_condition_notes([self.arm])
        said += [printable(why) for why in self.measured.empty.get(self.arm.name, {}).values()]
        return [Line(part.text.copy()) for text in said for part in wrap_lines(text, width, indent="  ")]


class Examples(LinesPane):
    """Lists the classes and the examples that replicas disagree about."""

    SHOWS = ("measured", "sort")
    measured: var[ShownMeasures | None] = var(None)
    sort: var[str] = var(PLAN_ORDER)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="disputes", classes="box", cursor=False)
        self.symbols = symbols
        self.border_title = "Classes and examples that replicas disagree about"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lists, an arm's name in its colour."""
        if self.measured is None or width < 1:
            return []
        reason = explain_absence(self.measured.arms)
        if reason is not None:
            return wrap_lines(reason, width)
        lines: list[Line] = []
        for number, arm in self.measured.number_arms(self.sort):
            head, *rest = list_disputes([arm], self.symbols) or [""]
            if head:
                lines += [Line(Text(f"{mark_arm(number, self.symbols)} {head}", arm_style(number, self.app.theme)))]
                lines += [part for row in rest for part in wrap_lines(row, width, indent="      ")]
                lines.append(Line(Text("")))
        return lines


NO_LAYERS = (
    "No layers were compared in this study.\n\n"
    "This page shows CKA: how alike the inner layers of every two replicas are. Write\n\n"
    "  [metrics]\n"
    "  cka = true\n\n"
    "into the protocol, or set metrics.cka in the builder, and run it again: trained runs are kept, and only the "
    "comparison is added. It reads weights, so dispatch.keep_weights must be true from the beginning."
)


class Layers(LinesPane):
    """Shows how alike the inner layers of replicas are: figure 1 of the paper."""

    FRAME = "layers"

    SHOWS = ("measured", "sort")
    measured: var[ShownMeasures | None] = var(None)
    sort: var[str] = var(PLAN_ORDER)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="layerspage", classes="box", cursor=False)
        self.symbols = symbols
        self.border_title = "CKA by layer, mean over pairs (figure 1)"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a bar per arm and layer; say what to add where layers were not compared."""
        if self.measured is None or width < 1:
            return []
        numbered = [(number, arm) for number, arm in self.measured.number_arms(self.sort) if arm.cka]
        if not numbered:
            return wrap_lines(explain_numbers(self.measured.arms, "weights") or NO_LAYERS, width)
        name = min(max(34, width // 4), max(len(arm_name(arm)) for _, arm in numbered) + 2)
        heat = draw_layer_heat([arm for _, arm in numbered], self.symbols, name_width=name, width=width - 2)
        lines = [Line(Text(f"  {heat[0]}", "bold"))]
        for (number, _), row in zip(numbered, heat[1:], strict=False):
            head = f"{mark_arm(number, self.symbols)} {row}"
            lines.append(Line(Text(head, arm_style(number, self.app.theme), no_wrap=True)))
        lines += [Line(Text(row, "dim")) for row in heat[1 + len(numbered) :]]
        for number, arm in numbered:
            head, *rest = list_similarity([arm], self.symbols, bar=max(10, width // 3))
            style = arm_style(number, self.app.theme)
            lines += [Line(Text("")), Line(Text(f"{mark_arm(number, self.symbols)} {head}", style))]
            lines += [Line(Text(row)) for row in rest[: -len(SIMILARITY_NOTES)]]
        return [*lines, Line(Text("")), *(part for note in SIMILARITY_NOTES for part in wrap_lines(note, width))]
