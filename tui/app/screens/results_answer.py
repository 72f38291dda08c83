"""The tab that says what a study found: its sentences, and the picture and the test behind the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.geometry import Size
from textual.reactive import var

from engine.catalog.measure_declaration import Measure
from engine.protocol.faults import printable
from engine.study.decision_record import DecisionRecord
from engine.study.notes import take_note
from tui.app.screens.results_data import ShownMeasures
from tui.app.screens.results_panes import list_marks, paint_forest
from tui.app.screens.results_time import find_families, list_evidence
from tui.app.sentences import paint_sentence, wrap_sentence
from tui.app.widgets.blocks import BlocksPane
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane
from tui.app.widgets.titles import set_border_title
from tui.text.answers.sentences import Answer
from tui.text.decisions import name_difference
from tui.text.difference_forest import MOST_ROOM, draw_decision, name_guides
from tui.text.explanations import list_measures, name_measure, style_key
from tui.text.forest import OVERHEAD, Arms, ForestLine, draw_forest
from tui.text.format import Symbols, shorten
from tui.text.growth import TITLE as GROWTH_TITLE
from tui.text.tables import Column, arm_name, make_columns, pick_columns

INDENT = "  "

BULLETS = {"warning": "! ", "finding": "- ", "note": "  "}


class AnswerList(BlocksPane):
    """Lists what the study says, in order of importance; Enter opens the evidence."""

    SHOWS = ("measured", "fault", "waiting")
    measured: var[ShownMeasures | None] = var(None)
    fault: var[str | None] = var(None)
    waiting: var[str] = var("")

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="answers", classes="box")
        self.symbols = symbols
        self.border_title = "What this study says"

    def redraw(self) -> None:
        """Show the sentences, and leave the rest of the page to the evidence where that stands below."""
        super().redraw()
        said = "" if self.measured is None else take_note(self.measured.note).text.strip()
        first = printable(said.partition("\n")[0])
        self.border_subtitle = Text(shorten(first, max(20, self.size.width - 8), self.symbols)) if first else ""
        if self.measured is not None and not self.screen.has_class("-wide"):
            frame = 0 if self.screen.has_class("-small") else 2
            least = 8 if self.screen.has_class("-small") else 12
            self.styles.height = max(4, min(len(self.lines) + frame, self.screen.size.height - 3 - least))
        else:
            self.styles.height = "1fr"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the sentences, each with its bullet; or say why there are none."""
        if self.fault is not None:
            return wrap_lines(self.fault, width)
        if self.measured is None:
            return wrap_lines(self.waiting, width)
        blocks = [self._make_block(self.measured, place, width) for place in range(len(self.measured.answers))]
        if not self.screen.has_class("-wide"):
            return [line for block in blocks for line in block]
        # Where all of them have room, each sentence has its reason below it.
        reasons = [wrap_lines(answer.because, max(20, width - 2 * len(INDENT))) for answer in self.measured.answers]
        if sum(map(len, (*blocks, *reasons))) + len(blocks) > self.size.height:
            reasons = [list[Line]()] * len(blocks)
        lines: list[Line] = []
        for place, (block, reason) in enumerate(zip(blocks, reasons, strict=True)):
            below = (Line(Text(f"{INDENT}{one.text.plain}", "dim"), str(place)) for one in reason)
            lines += [*block, *below, Line(Text(""))]
        return lines

    def _make_block(self, measured: ShownMeasures, place: int, width: int) -> list[Line]:
        """Make the lines of one sentence."""
        answer = measured.answers[place]
        numbers = {arm_name(arm): number for number, arm in enumerate(measured.arms)}
        text = paint_sentence(answer, numbers, self.app.theme, self.symbols)
        if not place:
            text.stylize("bold")
        if answer.weight == "note":
            text.stylize("dim")
        measure = find_measure(answer.measure, text=measured.text)
        if measure is not None:
            text.stylize(style_key(name_measure(measure)))
        rows = wrap_sentence(text, self.app.console, max(20, width - 2))
        heads = [BULLETS[answer.weight], *["  "] * len(rows)]
        return [Line(Text.assemble(head, part), str(place)) for head, part in zip(heads, rows, strict=False)]


class Evidence(LinesPane):
    """Shows what stands behind the sentence under the cursor: its test, and the figures that it is about."""

    SHOWS = ("measured", "answer", "published")
    measured: var[ShownMeasures | None] = var(None)
    answer: var[int] = var(0)
    published: var[bool] = var(True)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="evidence", classes="box", cursor=False)
        self.symbols = symbols
        self.border_title = "Behind it"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the reason, and a picture of the measure."""
        if self.measured is None or not self.measured.answers or width < 1:
            return []
        answer = self.measured.answers[min(self.answer, len(self.measured.answers) - 1)]
        lines = wrap_lines(answer.because, width)
        if answer.page == "compare" and self.measured.decision is not None:
            return self._draw_decision(self.measured, self.measured.decision, lines, width)
        columns = pick_columns(self.measured.arms, self.symbols)
        column = next((one for one in columns if one.measure.key == answer.measure), None)
        set_border_title(self, "Behind it" if column is None else f"Behind it: {column.title}")
        if column is None:
            for family in find_families(self.measured, answer.arms)[:1]:
                set_border_title(self, f"Behind it: {printable(family.name)}: {GROWTH_TITLE}")
            room = Size(width, self.size.height)
            return self._put_together(
                lines, list_evidence(self.measured, answer.arms, self.symbols, room, self.app.theme)
            )
        height = self.size.height - len(lines) - 1
        drawn = self._draw_measure(self.measured, answer, column, width, height)
        if len(drawn) > height:
            drawn = self._draw_measure(self.measured, answer, column, width, self.size.height)
        return self._put_together(lines, drawn)

    def _put_together(self, reason: list[Line], drawn: list[Line]) -> list[Line]:
        """Return reason and picture; the picture comes first where not all can be seen."""
        if not drawn:
            return reason
        fits = len(reason) + 1 + len(drawn) <= self.size.height
        return [*reason, Line(Text("")), *drawn] if fits else [*drawn, Line(Text("")), *reason]

    def _draw_measure(
        self, measured: ShownMeasures, answer: Answer, column: Column, width: int, height: int
    ) -> list[Line]:
        """Draw a measure of the arms; where there is room, all other measures below it."""
        others = [one for one in pick_columns(measured.arms, self.symbols) if one.measure != column.measure]
        arms = measured.number_arms()
        if len(arms) + OVERHEAD > height:  # those that the sentence is about come first where not all can be seen
            arms = [one for one in arms if one[1].name in answer.arms] or arms
        # Where a second picture fits below the first, the other measures of the same arms fill the room.
        close = 2 * len(arms) + OVERHEAD
        below = self._draw_forest(measured, arms, others, width, height - close - 1)
        first = self._draw_forest(measured, arms, [column], width, close if below else height)
        strong = set(answer.arms)
        rest = [ForestLine(()), *below] if below else []
        return [paint_forest(line, self.app.theme, strong) for line in (*first, *rest)]

    def _draw_forest(
        self, measured: ShownMeasures, arms: Arms, columns: Sequence[Column], width: int, height: int
    ) -> list[ForestLine]:
        """Draw measures of some arms; of several nothing where they do not fit."""
        several = len(columns) > 1
        if several and height < len(arms) + OVERHEAD:
            return []
        drawn = draw_forest(
            arms, columns, width=width, height=height, symbols=self.symbols, marks=list_marks(measured, self.symbols),
            reference=measured.reference if self.published else None,
        )  # fmt: skip
        return [] if several and len(drawn) > height else drawn

    def _draw_decision(
        self, measured: ShownMeasures, decision: DecisionRecord, reason: Sequence[Line], width: int
    ) -> list[Line]:
        """Draw the interval that decided which of two arms is better; below it, where there is room, all measures."""
        settings = decision.settings
        set_border_title(self, f"Behind it: {name_difference(settings)}")
        guides = Line(Text(name_guides(settings.margin, self.symbols), "dim"))
        drawn = draw_decision(decision, min(width, MOST_ROOM), self.symbols)
        lines = [*reason, Line(Text("")), guides, *(Line(Text(row, no_wrap=True)) for row in drawn)]
        arms = [one for one in measured.number_arms() if one[1].name in (settings.a, settings.b)]
        columns = make_columns(self.symbols, text=measured.text)
        below = self._draw_forest(measured, arms, columns, width, self.size.height - len(lines) - 1)
        return [*lines, *([Line(Text(""))] if below else []), *(paint_forest(line, self.app.theme) for line in below)]


def find_measure(key: str | None, *, text: bool) -> Measure | None:
    """Return a measure that results show by its key; None where it is none."""
    return next((measure for measure in list_measures(text=text) if measure.key == key), None)
