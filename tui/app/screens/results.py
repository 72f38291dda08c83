"""A study's measures: the table, the diagnostics, the figures, two arms side by side; copying and exporting them."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.curves_record import ArmCurves, find_curves
from engine.study.metrics_record import ArmMeasures, StudyMeasures
from engine.study.paths import StudyPaths, enter_path
from engine.study.similarity_record import find_similarity
from engine.study.study_plan import read_plan
from tui.app.host import host
from tui.app.screens.dialogs import Choose, Prompt
from tui.app.widgets.lines import LinesView, render_lines, wrap_lines
from tui.app.widgets.titles import Keys, TextLine
from tui.commands.export import SUFFIXES, export_study
from tui.commands.measuring import read_metrics, refresh_metrics
from tui.text.compare import compare_arms, format_differences
from tui.text.diagnostics import make_diagnostics_panel
from tui.text.format import UNICODE
from tui.text.report import FORMATS
from tui.text.tables import arm_name, make_notes, make_panel
from tui.text.text_figures import list_pairs, make_figure_panels

FRAMED_COLUMNS = 100
SORTS = ("plan", "name", "accuracy_sd", "disagreement")


class ResultsScreen(Screen[None]):
    """See the module."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("1", "page('table')", "Table"),
        Binding("2", "page('diagnostics')", "Diagnostics"),
        Binding("3", "page('figures')", "Figures"),
        Binding("4", "page('pairs')", "Pairs"),
        Binding("p", "published", "Published"),
        Binding("s", "sort", "Sort"),
        Binding("y", "copy('markdown')", "Copy"),
        Binding("Y", "copy('latex')", "Copy LaTeX"),
        Binding("e", "export", "Export"),
        Binding("c", "compare", "Compare"),
        Binding("m", "monitor", "Monitor"),
        Binding("R", "refresh", "Measure again", show=False),
    ]

    def __init__(self, paths: StudyPaths) -> None:
        """Nothing is read yet."""
        super().__init__()
        self.paths = paths
        self.page, self.sort, self.published = "table", "plan", True
        self.metrics: StudyMeasures | None = None
        self.curves: tuple[ArmCurves, ...] = ()
        self.reference: str | None = None
        self.empty: dict[str, dict[str, str]] = {}

    def compose(self) -> ComposeResult:
        """Title, page, keys."""
        yield TextLine(Text(f" {printable(self.paths.name)}   measuring …"), id="title", classes="title")
        yield LinesView(name_id="page", cursor=False)
        yield Keys()

    def on_mount(self) -> None:
        """Measure what is there."""
        self.query_one("#page", LinesView).focus()
        self.measure()

    def on_resize(self, event: events.Resize) -> None:
        """Tables are laid out for the width at hand."""
        self.show()

    def action_refresh(self) -> None:
        """Measure anew."""
        self.measure()

    @work(thread=True, exclusive=True, group="measure")
    def measure(self) -> None:
        """Have everything measured that is there now, in its own process."""
        try:
            refresh_metrics(self.paths)
            metrics, plan = read_metrics(self.paths), read_plan(self.paths)
        except NondetError as error:
            self.app.call_from_thread(self._fail, str(error))
            return
        curves = find_curves(self.paths.curves)
        empty = {arm.name: arm.empty for arm in plan.arms}
        self.app.call_from_thread(self._take, metrics, curves, plan.reference, empty)

    def _fail(self, message: str) -> None:
        self.query_one("#title", TextLine).show(Text(f" {UNICODE.failed} {printable(self.paths.name)}", style="bold"))
        page = self.query_one("#page", LinesView)
        page.set_lines(wrap_lines(message, page.size.width))

    def _take(
        self,
        metrics: StudyMeasures,
        curves: tuple[ArmCurves, ...],
        reference: str | None,
        empty: dict[str, dict[str, str]],
    ) -> None:
        self.metrics, self.curves, self.reference, self.empty = metrics, curves, reference, empty
        self.show()

    @property
    def entries(self) -> list[ArmMeasures]:
        """The arms in the chosen order; arms without the figure come last."""
        arms = [] if self.metrics is None else list(self.metrics.arms)
        if self.sort == "plan":
            return arms
        if self.sort == "name":
            return sorted(arms, key=lambda arm: arm_name(arm).lower())
        figures = {arm.name: arm.find(self.sort).value for arm in arms}
        return sorted(arms, key=lambda arm: (figures[arm.name] is None, -(figures[arm.name] or 0.0)))

    def show(self) -> None:
        """The page as it is now."""
        if self.metrics is None:
            return
        arms, study = self.entries, printable(self.metrics.study)
        done, planned = sum(arm.n for arm in arms), sum(arm.planned for arm in arms)
        order = "" if self.sort == "plan" else f"   by {self.sort.replace('_', ' ')}"
        title = f" {study}   {self.page}   {done} of {planned} replicas{order}"
        self.query_one("#title", TextLine).show(Text(title, style="bold", no_wrap=True))
        # One column is the scrollbar's; frames go first where every column counts.
        width, framed = max(20, self.size.width - 1), self.size.width >= FRAMED_COLUMNS
        reference = self.reference if self.published else None
        if self.page == "table":
            panels = [
                make_panel(study, arms, make_notes(arms, self.empty), width=width, reference=reference, framed=framed)
            ]
        elif self.page == "diagnostics":
            panel = make_diagnostics_panel(study, arms, width=width, reference=reference, framed=framed)
            panels = [panel or Text("Diagnostics need two finished replicas of an arm.")]
        elif self.page == "pairs":
            lines = list_pairs(find_similarity(self.paths.cka), width=width)
            panels = [Text(line) for line in lines]
            panels = panels or [Text("No layer was compared: metrics.cka = true in the protocol asks for it.")]
        else:
            panels = make_figure_panels(study, arms, self.curves, width=width)
            panels = panels or [Text("Figures need two finished replicas of an arm.")]
        self.query_one("#page", LinesView).set_lines(render_lines(panels, width))

    def action_page(self, page: str) -> None:
        """Another page."""
        self.page = page
        self.show()
        self.query_one("#page", LinesView).scroll_to(y=0, animate=False, force=True)

    def action_published(self) -> None:
        """Published rows below the measured ones, or not."""
        self.published = not self.published
        if self.reference is None:
            self.notify("the protocol names no published table (protocol.reference)")
        self.show()

    def action_sort(self) -> None:
        """The next order of the arms."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.show()

    def action_copy(self, kind: str) -> None:
        """The table to the clipboard."""
        if self.metrics is not None:
            reference = self.reference if self.published else None
            text = FORMATS[kind](printable(self.metrics.study), self.entries, reference)
            host(self).copy(text, f"{self.paths.name}.{SUFFIXES[kind]}")

    def action_export(self) -> None:
        """Everything that `report --out` writes, into a folder."""

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
            names = export_study(self.paths, folder)
        except NondetError as error:
            self.app.call_from_thread(self.notify, printable(str(error)), severity="error", timeout=20, markup=False)
            return
        stamp = time.strftime("%H:%M")
        self.app.call_from_thread(
            self.notify, f"{stamp}: {len(names)} files in {folder}", title="exported", markup=False, timeout=10
        )

    def action_monitor(self) -> None:
        """The study as it runs."""
        host(self).open_monitor(self.paths)

    def action_compare(self) -> None:
        """Choose two arms of any studies and put them side by side."""
        choices = host(self).list_arms(self.paths)
        if len(choices) < 2:
            self.notify("there are no two measured arms to compare")
            return
        rows = [(str(number), label) for number, (label, _) in enumerate(choices)]

        def second(first: str | None, other: str | None) -> None:
            if first is not None and other is not None:
                (one_label, one), (other_label, entry) = choices[int(first)], choices[int(other)]
                lines = [f"first:  {one_label}", f"second: {other_label}", ""]
                host(self).read_text("Compare", "\n".join([*lines, *format_differences(compare_arms(one, entry))]))

        def first(chosen: str | None) -> None:
            if chosen is not None:
                self.app.push_screen(Choose("Compare with", rows), lambda other: second(chosen, other))

        self.app.push_screen(Choose("Compare which arm", rows), first)
