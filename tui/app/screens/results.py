"""A study's measures on pages, and two arms side by side; copying and exporting them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.curves_record import ArmCurves
from engine.study.measured import read_measured
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths, enter_path, iterate_studies
from engine.study.similarity_record import ArmSimilarity, find_similarity
from engine.study.study_plan import read_plan
from tui.app.messages import CopyText, OpenMonitor
from tui.app.options import Options
from tui.app.screens.dialogs import Choose, Prompt, Reader
from tui.app.widgets.lines import Line, render_lines, wrap_lines
from tui.app.widgets.owner import app_class
from tui.app.widgets.panes import LinesPane, TextPane
from tui.app.widgets.titles import Keys
from tui.commands.export import SUFFIXES, export_study
from tui.commands.measuring import refresh_metrics
from tui.text.compare import compare_arms, format_differences
from tui.text.diagnostics import make_diagnostics_panel
from tui.text.disputes import make_disputes_panels
from tui.text.explanations import make_explanations
from tui.text.format import UNICODE, fit_name
from tui.text.report import FORMATS
from tui.text.tables import arm_name, make_notes, make_panel, note_sharing
from tui.text.text_figures import list_pairs, make_figure_panels

FRAMED_COLUMNS = 100
PAGES = ("table", "diagnostics", "figures", "pairs", "examples", "measures")
"""In the order of the digits that open them."""

SHORT_PAGES = {"diagnostics": "diagn.", "measures": "meas."}
"""What pages are called where room is short."""

SORTS = ("plan", "name", "accuracy_sd", "disagreement")


NO_PAIRS = (
    "No layers were compared in this study.",
    "",
    "This page shows CKA: how alike the inner layers of every two replicas are. Write",
    "",
    "  [metrics]",
    "  cka = true",
    "",
    "into the protocol, or set metrics.cka in the builder, and run it again: trained runs are kept, and only the "
    "comparison is added. It reads weights, so dispatch.keep_weights must be true from the beginning.",
)


@dataclass(frozen=True)
class ShownMeasures:
    """Holds everything that was measured of a study."""

    study: str
    arms: tuple[ArmMeasures, ...]
    """In the plan's order."""
    curves: tuple[ArmCurves, ...]
    layers: tuple[ArmSimilarity, ...]
    """Empty where no layers were compared."""
    runs: int
    """Planned runs; fewer than planned replicas where arms share some."""
    reference: str | None
    """The published table that the protocol names."""
    empty: dict[str, dict[str, str]]
    """Arm → sources that vary nothing in it, with the reason."""

    def sort_arms(self, order: str) -> list[ArmMeasures]:
        """Return the arms in an order of SORTS; those without the figure come last."""
        if order == "plan":
            return list(self.arms)
        if order == "name":
            return sorted(self.arms, key=lambda arm: arm_name(arm).lower())
        figures = {arm.name: arm.find(order).value for arm in self.arms}
        return sorted(self.arms, key=lambda arm: (figures[arm.name] is None, -(figures[arm.name] or 0.0)))


@dataclass
class StudyMeasured(Message):
    """Brings what was measured."""

    measured: ShownMeasures


@dataclass
class MeasuringBegun(Message):
    """Brings what is about to be measured, in words, and whether it is of language models."""

    waiting: str
    text: bool


@dataclass
class MeasuringFailed(Message):
    """Brings why a study could not be measured."""

    reason: str


@dataclass
class ArmsListed(Message):
    """Brings the measured arms of every study, with a label each, to choose two from."""

    arms: list[tuple[str, ArmMeasures]]


class Heading(TextPane):
    """Says of how many replicas what is shown is, in which order, and which page of which it is."""

    SHOWS = ("measured", "fault", "page", "sort", "measuring")
    measured: var[ShownMeasures | None] = var(None)
    fault: var[str | None] = var(None)
    page: var[str] = var("table")
    sort: var[str] = var("plan")
    measuring: var[bool] = var(False)

    def __init__(self, study: str) -> None:
        """Take the study's name."""
        super().__init__(id="title", classes="title")
        self.study = printable(study)

    def on_resize(self, event: events.Resize) -> None:
        """Keep the pages at the right edge."""
        self.redraw()

    def make_text(self) -> Text:
        """Make the line: at the left what was measured, which is cut where room is short; at the right the pages."""
        wide = self.size.width >= FRAMED_COLUMNS
        pages = Text("  " if wide else " ").join(
            Text(
                f"{number} {page if wide else SHORT_PAGES.get(page, page)}",
                style="bold reverse" if page == self.page else "",
            )
            for number, page in enumerate(PAGES, start=1)
        )
        room = max(0, self.size.width - pages.cell_len - 3)
        return Text.assemble((f" {fit_name(self._describe(), room)} ", "bold"), pages, " ", no_wrap=True)

    def _describe(self) -> str:
        if self.fault is not None:
            return f"{UNICODE.failed} {self.study}"
        if self.measured is None:
            return f"{self.study}   measuring …"
        arms = self.measured.arms
        done, planned = sum(arm.n for arm in arms), sum(arm.planned for arm in arms)
        order = "" if self.sort == "plan" else f"   by {self.sort.replace('_', ' ')}"
        again = "   measuring …" if self.measuring else ""
        return f"{printable(self.measured.study)}{order}   {done} of {planned} replicas{again}"


class ResultsPage(LinesPane):
    """Shows one page of what was measured, laid out for the width at hand."""

    SHOWS = ("measured", "fault", "page", "sort", "published", "waiting", "text")
    measured: var[ShownMeasures | None] = var(None)
    fault: var[str | None] = var(None)
    page: var[str] = var("table")
    sort: var[str] = var("plan")
    published: var[bool] = var(True)
    waiting: var[str] = var("")
    text: var[bool] = var(False)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the page; or say why there is none."""
        # One column is the scrollbar's, whether it is there or not; frames go first where every column counts.
        columns = self.screen.size.width
        framed, room = columns >= FRAMED_COLUMNS, max(20, columns - 1)
        if self.page == "measures":
            return render_lines(make_explanations(text=self.text, framed=framed), room)
        if self.fault is not None:
            return wrap_lines(self.fault, width)
        if self.measured is None:
            return wrap_lines(self.waiting, width)
        return render_lines(self._make_panels(self.measured, room, framed=framed), room)

    def _make_panels(self, measured: ShownMeasures, width: int, *, framed: bool) -> Sequence[RenderableType]:
        study, arms = printable(measured.study), measured.sort_arms(self.sort)
        reference = measured.reference if self.published else None
        if self.page == "table":
            notes = make_notes(arms, measured.empty) + note_sharing(arms, measured.runs)
            return [make_panel(study, arms, notes, width=width, reference=reference, framed=framed)]
        if self.page == "diagnostics":
            panel = make_diagnostics_panel(study, arms, width=width, reference=reference, framed=framed)
            return [panel or Text("Diagnostics need two finished replicas of an arm.")]
        if self.page == "pairs":
            lines = list_pairs(measured.layers, width=width)
            return [Text(line) for line in lines or NO_PAIRS]
        if self.page == "examples":
            return make_disputes_panels(study, arms, width=width, framed=framed)
        figures = make_figure_panels(study, arms, measured.curves, width=width)
        return figures or [Text("Figures need two finished replicas of an arm.")]


class ResultsScreen(Screen[None]):
    """Shows what was measured of a study.

    A thread has the study measured and posts `StudyMeasured` or `MeasuringFailed`. Keys change the other attributes.
    The heading and the page are bound to all of them.
    """

    app = getters.app(app_class)

    measured: var[ShownMeasures | None] = var(None)
    fault: var[str | None] = var(None)
    """Why it could not be measured."""
    measuring: var[bool] = var(False)
    waiting: var[str] = var("")
    """What is said on the page until the first measures are there."""
    text: var[bool] = var(False)
    """Whether it is a study of language models."""
    page: var[str] = var("table")
    sort: var[str] = var("plan")
    published: var[bool] = var(True)
    """Whether published rows stand below the measured ones."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("1", "page('table')", "Table", show=False),
        Binding("2", "page('diagnostics')", "Diagnostics", show=False),
        Binding("3", "page('figures')", "Figures", show=False),
        Binding("4", "page('pairs')", "Pairs", show=False),
        Binding("5", "page('examples')", "What replicas disagree about", show=False),
        Binding("6", "page('measures')", "What the measures mean", show=False),
        Binding("p", "published", "Published"),
        Binding("s", "sort", "Sort"),
        Binding("y", "copy('markdown')", "Copy"),
        Binding("e", "export", "Export"),
        Binding("c", "compare", "Compare"),
        Binding("m", "monitor", "Monitor"),
        Binding("Y", "copy('latex')", "Copy LaTeX"),
        Binding("R", "refresh", "Measure again", show=False),
    ]

    def __init__(self, paths: StudyPaths, options: Options) -> None:
        """Take the study; nothing of it is read yet."""
        super().__init__()
        self.paths, self.options = paths, options

    def compose(self) -> ComposeResult:
        """Lay out heading, page and keys."""
        cls = ResultsScreen
        yield Heading(self.paths.name).data_bind(cls.measured, cls.fault, cls.page, cls.sort, cls.measuring)
        yield ResultsPage(name_id="page", cursor=False).data_bind(
            cls.measured, cls.fault, cls.page, cls.sort, cls.published, cls.waiting, cls.text
        )
        yield Keys()

    def on_mount(self) -> None:
        """Measure what is there."""
        self.query_one(ResultsPage).focus()
        self.action_refresh()

    # Measuring -----------------------------------------------------------------------------------------------------

    def action_refresh(self) -> None:
        """Start to measure the study, unless that is going on."""
        if not self.measuring:
            self.measuring = True
            self._measure()

    @work(thread=True, group="measure")
    def _measure(self) -> None:
        """Measure everything that is there now, in a process of its own, and read what it wrote."""
        try:
            plan = read_plan(self.paths)
            done = sum(self.paths.run(run).result.exists() for run in plan.order)
            self.post_message(MeasuringBegun(describe_waiting(done, len(plan.order)), plan.text))
            found = refresh_metrics(self.paths) or read_measured(self.paths)
            metrics = found.metrics
        except NondetError as error:
            self.post_message(MeasuringFailed(str(error)))
            return
        measured = ShownMeasures(
            study=metrics.study,
            arms=metrics.arms,
            curves=found.curves,
            layers=find_similarity(self.paths.cka),
            runs=len(plan.order),
            reference=plan.reference,
            empty={arm.name: arm.empty for arm in plan.arms},
        )
        self.post_message(StudyMeasured(measured))

    def on_measuring_begun(self, event: MeasuringBegun) -> None:
        """Say what is measured while there is nothing else to show."""
        self.waiting, self.text = event.waiting, event.text

    def on_measuring_failed(self, event: MeasuringFailed) -> None:
        """Show why the study cannot be measured."""
        self.measuring, self.fault = False, event.reason

    def on_study_measured(self, event: StudyMeasured) -> None:
        """Show what was measured."""
        self.measuring, self.fault, self.measured = False, None, event.measured

    # What keys do --------------------------------------------------------------------------------------------------

    def action_page(self, page: str) -> None:
        """Show another page, from its top."""
        self.page = page
        self.query_one(ResultsPage).scroll_to(y=0, animate=False, force=True)

    def action_published(self) -> None:
        """Show published rows below the measured ones, or leave them out."""
        self.published = not self.published
        if self.measured is None or self.measured.reference is None:
            self.notify("the protocol names no published table (protocol.reference)")

    def action_sort(self) -> None:
        """Put the arms into the next order."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]

    def action_copy(self, kind: str) -> None:
        """Copy the table."""
        if self.measured is not None:
            reference = self.measured.reference if self.published else None
            text = FORMATS[kind](printable(self.measured.study), self.measured.sort_arms(self.sort), reference)
            self.post_message(CopyText(text, f"{self.paths.name}.{SUFFIXES[kind]}"))

    def action_export(self) -> None:
        """Write everything that `report --out` writes into a folder."""

        def write(folder: str | None) -> None:
            if folder:
                self.notify("writing tables and figures …")
                self.export(folder)

        default = str(self.paths.folder / "report")
        self.app.push_screen(Prompt("Export into folder", default, hint="tables, figures and Parquet"), write)

    @work(thread=True, exclusive=True, group="export")
    def export(self, typed: str) -> None:
        """Draw and write, outside the event loop."""
        try:
            folder = enter_path(typed)
            names = export_study(self.paths, folder, refresh_metrics(self.paths) or read_measured(self.paths))
        except NondetError as error:
            self.notify(printable(str(error)), severity="error", timeout=20, markup=False)
            return
        said = f"{time.strftime('%H:%M')}: {len(names)} files in {folder}"
        self.notify(said, title="exported", markup=False, timeout=10)

    def action_monitor(self) -> None:
        """Show the study as it runs."""
        self.post_message(OpenMonitor(self.paths))

    @work(thread=True, group="compare")
    def action_compare(self) -> None:
        """List the measured arms of all studies in a thread, and post them, so that two can be chosen and compared."""
        self.post_message(ArmsListed(list_arms(self.paths, self.options.store)))

    def on_arms_listed(self, event: ArmsListed) -> None:
        """Ask for two arms, and show what differs between them."""
        if len(event.arms) < 2:
            self.notify("there are no two measured arms to compare")
            return
        rows = [(str(number), label) for number, (label, _) in enumerate(event.arms)]

        def second(first: str | None, other: str | None) -> None:
            if first is not None and other is not None:
                (one_label, one), (other_label, entry) = event.arms[int(first)], event.arms[int(other)]
                lines = [f"first:  {one_label}", f"second: {other_label}", ""]
                text = "\n".join([*lines, *format_differences(compare_arms(one, entry))])
                self.app.push_screen(Reader("Compare", text))

        def first(chosen: str | None) -> None:
            if chosen is not None:
                self.app.push_screen(Choose("Compare with", rows), lambda other: second(chosen, other))

        self.app.push_screen(Choose("Compare which arm", rows), first)


def describe_waiting(done: int, planned: int) -> str:
    """Say what is being measured, and that nobody has to wait for it."""
    return (
        f"\nMeasuring {done} finished runs of {planned}: the predictions of every two replicas of an arm are compared, "
        "and intervals are computed. With hundreds of runs this takes minutes the first time; what is measured is kept."
        "\n\nEsc goes back, and measuring goes on meanwhile. 6 explains the measures."
    )


def list_arms(first: StudyPaths, store: Path) -> list[tuple[str, ArmMeasures]]:
    """Return every measured arm of a store with a label, those of one study first.

    Args:
        first: The study that comes first; it need not be in the store.
        store: Folder of all studies.
    """
    folders = [first, *(paths for paths in iterate_studies(store) if paths.folder != first.folder)]
    found: list[tuple[str, ArmMeasures]] = []
    for paths in folders:
        metrics = find_metrics(paths.metrics)
        for arm in () if metrics is None else metrics.arms:
            if arm.n > 1:
                found.append((f"{printable(paths.name)}: {printable(arm.name)}, n = {arm.n}", arm))
    return found
