"""A study's results on tabs: sentences, table, intervals, figures, pairs, examples, comparisons; copying, exporting."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import ClassVar

from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from engine.catalog.measure_declaration import Measure
from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.measured import read_measured
from engine.study.measuring_record import describe_measuring
from engine.study.metrics_record import ArmMeasures
from engine.study.notes import NoteRecord
from engine.study.paths import StudyPaths, enter_path
from engine.study.study_plan import StudyPlan, read_plan
from tui.app.asking import complain
from tui.app.messages import CopyText, OpenMonitor
from tui.app.options import Options
from tui.app.screens.choosing import Choose
from tui.app.screens.compare_data import Question, export_comparison
from tui.app.screens.dialogs import Card, Prompt
from tui.app.screens.note_edit import edit_note
from tui.app.screens.results_answer import AnswerList, Evidence
from tui.app.screens.results_compare import ComparePage
from tui.app.screens.results_data import (
    NAME_ORDER,
    PLAN_ORDER,
    MeasuringBegun,
    MeasuringFailed,
    MeasuringWent,
    ShownMeasures,
    StudyMeasured,
    describe_waiting,
    gather,
)
from tui.app.screens.results_keys import COMPARISON_COPIES, COPIES, GROUPS, KEYS, WHERE
from tui.app.screens.results_origin import OriginPane
from tui.app.screens.results_pairs import PairsPage
from tui.app.screens.results_panes import (
    FRAMED_COLUMNS,
    CellReadout,
    Examples,
    Forest,
    Heading,
    Layers,
    TabLine,
    TabWanted,
)
from tui.app.screens.results_parting import PartingPage
from tui.app.screens.results_table import MeasureTable
from tui.app.screens.results_time import FigureNotes, FigurePlot, find_growth
from tui.app.widgets.lines import LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.titles import Keys
from tui.commands.export import SUFFIXES, export_study
from tui.commands.measuring import refresh_metrics
from tui.text.answers.sentences import Page
from tui.text.counts import plural
from tui.text.explanations import explain_comparison, make_explanations
from tui.text.report import FORMATS

WIDE_COLUMNS = 170
"""Columns from which on two parts stand side by side."""

LOW_ROWS = 34
"""Rows below which a page has one picture."""


SHOWN_ON: dict[Page, str] = {"diagnostics": "table", "growth": "time"}
"""The tabs of evidence that has none of its own name."""


class ResultsScreen(Screen[None]):
    """Shows what was measured of a study.

    A thread has the study measured and posts `StudyMeasured` or `MeasuringFailed`. Keys change the other attributes.
    The parts of each tab are bound to those that they show.
    """

    app = getters.app(app_class)

    measured: var[ShownMeasures | None] = var(None)
    fault: var[str | None] = var(None)
    """Why it could not be measured."""
    measuring: var[bool] = var(False)
    progress: var[str] = var("")
    """How far measuring is."""
    waiting: var[str] = var("")
    """What is said until the first measures are there."""
    text: var[bool] = var(False)
    """Whether it is a study of language models."""
    page: var[str] = var("answer")
    sort: var[str] = var(PLAN_ORDER)
    published: var[bool] = var(True)
    """Whether published rows are shown beside the measured ones."""
    answer: var[int] = var(0)
    """The sentence under the cursor."""
    arm: var[ArmMeasures | None] = var(None)
    measure: var[Measure | None] = var(None)
    """The arm and the measure under the cursor of the table."""
    figure: var[int] = var(0)
    """The first figure over time that is shown."""
    linear: var[bool] = var(False)
    """Whether figures over time have no logarithmic axis."""
    against: var[StudyPaths | None] = var(None)
    """The study whose arm is compared with one of this one; None where both are of this one."""
    diagnosed: var[bool] = var(False)
    """Whether the table shows what a spread is made of instead of the measures."""
    small: var[bool] = var(False, toggle_class="-small")
    low: var[bool] = var(False, toggle_class="-low")
    wide: var[bool] = var(False, toggle_class="-wide")

    BINDINGS: ClassVar[list[BindingType]] = list(KEYS)
    KEY_GROUPS: ClassVar[dict[str, tuple[str, ...]]] = GROUPS

    def __init__(self, paths: StudyPaths, options: Options) -> None:
        """Take the study; nothing of it is read yet."""
        super().__init__()
        self.paths, self.options = paths, options

    def open_comparison(self, against: StudyPaths | None) -> None:
        """Show the tab that compares two arms: of this study, or one of it and one of another study."""
        if self.is_mounted:
            self.against, self.page = against, "compare"
        else:
            self.set_reactive(ResultsScreen.against, against)
            self.set_reactive(ResultsScreen.page, "compare")

    def compose(self) -> ComposeResult:
        """Lay out heading, tabs, their pages and keys."""
        cls, symbols = ResultsScreen, self.options.symbols
        yield Heading(self.paths.name).data_bind(cls.measured, cls.fault, cls.sort, cls.measuring, cls.progress)
        yield TabLine(id="tabs").data_bind(cls.page)
        with ContentSwitcher(initial="answerpage", id="pages"):
            with Vertical(id="answerpage"):
                yield AnswerList(symbols).data_bind(cls.measured, cls.fault, cls.waiting)
                yield Evidence(symbols).data_bind(cls.measured, cls.answer, cls.published)
            with Vertical(id="tablepage"):
                yield MeasureTable(symbols, "table", name_id="measures").data_bind(
                    cls.measured, cls.published, cls.diagnosed, order=cls.sort
                )
                yield CellReadout(symbols).data_bind(cls.measured, cls.arm, cls.measure)
                yield Forest(symbols, name_id="intervals").data_bind(cls.measured, cls.sort, cls.published)
            with Vertical(id="intervalspage"):
                yield Forest(symbols, name_id="forest").data_bind(cls.measured, cls.sort, cls.published)
            with Vertical(id="timepage"):
                for offset in range(2):
                    yield FigurePlot(self.options.glyphs, offset).data_bind(cls.measured, cls.figure, cls.linear)
                yield FigureNotes(symbols).data_bind(cls.measured, cls.figure)
            yield Layers(symbols).data_bind(cls.measured, cls.sort)
            yield PairsPage(self.paths, symbols).data_bind(cls.measured, cls.page)
            with Vertical(id="examplespage"):
                yield MeasureTable(symbols, "disputes", name_id="disputestable").data_bind(cls.measured, order=cls.sort)
                yield Examples(symbols).data_bind(cls.measured, cls.sort)
            yield ComparePage(self.paths, self.options).data_bind(cls.measured, cls.page, cls.against)
            yield OriginPane(self.paths).data_bind(cls.measured, cls.page)
            yield PartingPage(self.paths, self.options).data_bind(cls.measured, cls.page)
        yield Keys()

    def on_mount(self) -> None:
        """Measure what is there."""
        self.action_refresh()
        self.watch_page(self.page)
        self.set_interval(self.options.refresh_s, lambda: self._look_at_progress() if self.measuring else None)

    async def on_resize(self, event: events.Resize) -> None:
        """Choose what stands where, after whatever waits: the screen has just been drawn in one go."""
        await asyncio.sleep(0)
        self.small, self.low = event.size.width < FRAMED_COLUMNS, event.size.height < LOW_ROWS
        self.wide = event.size.width >= WIDE_COLUMNS

    # Measuring -----------------------------------------------------------------------------------------------------

    def action_refresh(self) -> None:
        """Start to measure the study, unless that is going on."""
        if not self.measuring:
            self.measuring, self.progress = True, ""
            self._measure()

    @work(thread=True, group="measure")
    def _measure(self) -> None:
        """Show what was measured before, measure what is there now in a process of its own, and read what it wrote."""
        try:
            plan = read_plan(self.paths)
            done = sum(self.paths.run(run).result.exists() for run in plan.order)
            self.post_message(MeasuringBegun(describe_waiting(done, len(plan.order)), plan.text))
            self._post_earlier(plan)
            found = refresh_metrics(self.paths) or read_measured(self.paths)
            self.post_message(StudyMeasured(gather(self.paths, plan, found)))
        except NondetError as error:
            self.post_message(MeasuringFailed(str(error)))

    @work(thread=True, exclusive=True, group="progress")
    def _look_at_progress(self) -> None:
        """Read how far measuring is."""
        self.post_message(MeasuringWent(describe_measuring(self.paths) or ""))

    def on_measuring_went(self, event: MeasuringWent) -> None:
        """Show how far measuring is."""
        self.progress = event.progress

    def _post_earlier(self, plan: StudyPlan) -> None:
        """Send what an earlier measurement left, if it left anything."""
        with contextlib.suppress(NondetError):
            self.post_message(StudyMeasured(gather(self.paths, plan, read_measured(self.paths)), is_final=False))

    def on_measuring_begun(self, event: MeasuringBegun) -> None:
        """Say what is measured while there is nothing else to show."""
        self.waiting, self.text = event.waiting, event.text

    def on_measuring_failed(self, event: MeasuringFailed) -> None:
        """Show why the study cannot be measured."""
        self.measuring, self.fault, self.measured = False, event.reason, None

    def on_study_measured(self, event: StudyMeasured) -> None:
        """Show what was measured."""
        self.measuring, self.fault = self.measuring and not event.is_final, None
        if event.measured != self.measured:
            first, self.measured = self.measured is None, event.measured
            if first and event.measured.answers:
                self._begin_at(event.measured)

    def _begin_at(self, measured: ShownMeasures) -> None:
        """Put the cursors of table and pairs on what the first sentence is about."""
        answer = measured.answers[0]
        varied = [arm.name for arm in measured.arms if arm.vary]  # pairs of a control are alike as a rule
        self.query_one(PairsPage).begin_at(sorted(varied, key=lambda name: name not in answer.arms))
        for table in self.query(MeasureTable):
            table.wanted = (answer.arms[0] if answer.arms else measured.arms[0].name, answer.measure or "")

    # Pages ---------------------------------------------------------------------------------------------------------

    def action_page(self, page: str) -> None:
        """Show another tab."""
        self.page = page

    def watch_page(self, page: str) -> None:
        """Show the tab's page, with the focus on its first part."""
        switcher = self.query_one(ContentSwitcher)
        switcher.current = f"{page}page"
        first = switcher.visible_content
        inside = [] if first is None else [first, *first.query("*").results()]
        target = next((widget for widget in inside if widget.can_focus and widget.display), None)
        if target is not None:
            self.set_focus(target, scroll_visible=False)

    def on_tab_wanted(self, event: TabWanted) -> None:
        """Show the tab that was clicked."""
        self.page = event.page

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Show what stands behind the sentence under the cursor."""
        if isinstance(event.view, AnswerList):
            self.answer = int(event.key)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Open the evidence of a sentence, or an arm's figures in the table."""
        if self.measured is None:
            return
        if not isinstance(event.view, AnswerList):
            self.point_at(event.key, None)
            return
        answer = self.measured.answers[int(event.key)]
        self.diagnosed = answer.page == "diagnostics"
        self.page = SHOWN_ON.get(answer.page, answer.page)
        if answer.page == "growth":
            self.figure = find_growth(self.measured)
        if self.page == "table":
            self.point_at(answer.arms[0] if answer.arms else self.measured.arms[0].name, answer.measure)

    def point_at(self, arm: str, measure: str | None) -> None:
        """Show a figure of an arm in the table."""
        self.page = "table"
        self.call_after_refresh(self.query_one("#measures", MeasureTable).point_at, arm, measure)

    def on_measure_table_pointed(self, event: MeasureTable.Pointed) -> None:
        """Say what the figure under the cursor is."""
        self.arm, self.measure = event.arm, event.measure

    def on_measure_table_sort_wanted(self, event: MeasureTable.SortWanted) -> None:
        """Take the order of a column; a second click on its title puts the plan's order back."""
        self.sort = PLAN_ORDER if self.sort == event.order else event.order

    # What keys do --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer keys on the tabs where they do something."""
        return action not in WHERE or self.page in WHERE[action]

    def action_published(self) -> None:
        """Show published figures beside the measured ones, or leave them out."""
        self.published = not self.published
        if self.measured is None or self.measured.reference is None:
            self.notify("the protocol names no published table (protocol.reference)")

    def action_sort(self) -> None:
        """Take the order of the column under the cursor; put the plan's order back where that is the order already."""
        order = NAME_ORDER if self.measure is None else self.measure.key
        self.sort = PLAN_ORDER if self.sort == order else order

    def action_diagnose(self) -> None:
        """Show what a spread is made of in place of the measures, or these again."""
        self.diagnosed = not self.diagnosed

    def action_note(self) -> None:
        """Change tags and note of the study."""
        edit_note(self.app, self.paths, self.options, self.take_note)

    def take_note(self, note: NoteRecord) -> None:
        """Show what was kept."""
        if self.measured is not None:
            self.measured = replace(self.measured, note=note)

    def action_figure(self) -> None:
        """Show the next figure over time."""
        self.figure += 1

    def action_linear(self) -> None:
        """Take a linear axis for figures over time, or the logarithmic one again."""
        self.linear = not self.linear

    def action_explain(self) -> None:
        """Explain what stands on the tab, where nothing under the cursor is explained: on most all measures."""
        if self.page == "compare":
            self.app.push_screen(Card([explain_comparison()]))
        else:
            self.action_explain_all()

    def action_explain_all(self) -> None:
        """Explain every measure."""
        self.app.push_screen(Card(make_explanations(text=self.text, framed=False), tall=True))

    def action_choose_copy(self) -> None:
        """Ask what is to be copied."""

        def chosen(kind: str | None) -> None:
            if kind is not None:
                self.action_copy(kind)

        compared = COMPARISON_COPIES if self.page == "compare" else {}
        self.app.push_screen(Choose("Copy", list((compared | COPIES).items())), chosen)

    def action_copy(self, kind: str) -> None:
        """Copy the figure or the row under the cursor, or the table."""
        if self.measured is None:
            return
        table = self.query_one("#measures", MeasureTable)
        if kind in COMPARISON_COPIES:
            lines, command = self.query_one(ComparePage).describe() or ("", "")
            text = lines if kind == "comparison" else command
        elif kind == "cell":
            text = table.find_cell()
        elif kind == "row":
            row = table.find_row()
            text = "" if row is None else "\t".join(" ".join(cell.split()) for cell in row.cells)
        else:
            reference = self.measured.reference if self.published else None
            text = FORMATS[kind](printable(self.measured.study), self.measured.sort_arms(self.sort), reference)
        self.post_message(CopyText(text, f"{self.paths.name}.{SUFFIXES.get(kind, 'txt')}"))

    def action_export(self) -> None:
        """Write everything that `report --out` writes into a folder; of a comparison, that of `report --against`."""
        question = self.query_one(ComparePage).question if self.page == "compare" else None

        def write(folder: str | None) -> None:
            if folder:
                self.notify("writing …")
                self.export(folder, question)

        default = str(self.paths.folder / ("report" if question is None else "comparison"))
        hint = "tables, figures and Parquet" if question is None else "the comparison as a page and as Markdown"
        self.app.push_screen(Prompt("Export into folder", default, hint=hint), write)

    @work(thread=True, exclusive=True, group="export", description="export")  # not with all figures of a question
    def export(self, typed: str, question: Question | None = None) -> None:
        """Draw and write, outside the event loop."""
        try:
            folder = enter_path(typed)
            if question is None:
                names = export_study(self.paths, folder, refresh_metrics(self.paths) or read_measured(self.paths))
            else:
                names = export_comparison(question, folder)
        except NondetError as error:
            complain(self, str(error))
            return
        said = f"{time.strftime('%H:%M')}: {plural(len(names), 'file')} in {folder}"
        self.notify(said, title="exported", markup=False, timeout=10)

    def action_monitor(self) -> None:
        """Show the study as it runs."""
        self.post_message(OpenMonitor(self.paths))
