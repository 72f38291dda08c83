"""The tab that says where a study's figures come from; it is read when it is first looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import work
from textual.message import Message
from textual.reactive import var

from engine.errors import NondetError
from engine.study.notes import NoteRecord, describe_damage
from engine.study.paths import StudyPaths
from engine.study.records import Damage, find_record
from engine.study.run_records import AttemptRecord, ResultRecord
from engine.study.study_plan import read_plan
from tui.app.screens.results_data import ShownMeasures
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane
from tui.text.format import shorten
from tui.text.notes import list_said
from tui.text.provenance import Origin, describe_origin

SHORT_NAME = 16
"""Columns of a fact's name at most for it to stand in line with those of other sections."""


@dataclass
class OriginRead(Message):
    """Brings where a study comes from, or why that cannot be read."""

    origin: Origin | None
    fault: str = ""


def read_origin(paths: StudyPaths, measured: ShownMeasures) -> Origin:
    """Read the records of a study's finished runs.

    Raises:
        NondetError: If its plan cannot be read.
    """
    plan = read_plan(paths)
    results = {run: find_record(paths.run(run).result, ResultRecord) for run in plan.order}
    known = {run: result for run, result in results.items() if result is not None}
    attempts = {
        run: find_record(paths.run(run).attempt(result.attempt).attempt, AttemptRecord) for run, result in known.items()
    }
    found = {run: attempt for run, attempt in attempts.items() if attempt is not None}
    return Origin(str(paths.folder), plan, found, known, tuple(measured.recipes.values()))


class OriginPane(LinesPane):
    """Lists protocol, versions, machines, commits, control and digests."""

    SHOWS = ("measured", "page", "origin", "fault")
    measured: var[ShownMeasures | None] = var(None)
    page: var[str] = var("")
    origin: var[Origin | None] = var(None)
    fault: var[str] = var("")

    def __init__(self, paths: StudyPaths) -> None:
        """Take the study; nothing of it is read yet."""
        super().__init__(name_id="provenancepage", classes="box", cursor=False)
        self.paths = paths
        self.border_title = "Where this comes from"

    def watch_page(self) -> None:
        """Read the study's records when the tab is opened."""
        if self.page == "provenance" and self.measured is not None and self.is_mounted:
            self._read(self.measured)

    # Described by hand: a worker's own description has its arguments in it, with every figure of every arm.
    @work(thread=True, exclusive=True, group="origin", description="read where a study comes from")
    def _read(self, measured: ShownMeasures) -> None:
        """Read outside the event loop: there are two records of each run."""
        try:
            self.post_message(OriginRead(read_origin(self.paths, measured)))
        except NondetError as error:
            self.post_message(OriginRead(None, str(error)))

    def on_origin_read(self, event: OriginRead) -> None:
        """Show what was read."""
        self.origin, self.fault = event.origin, event.fault

    def _show_note(self, note: NoteRecord | Damage, width: int) -> list[Line]:
        said = [describe_damage(note)] if isinstance(note, Damage) else list_said(note)
        rows = [row for line in said for row in wrap_lines(line, max(20, width - 2)) or [Line(Text(""))]]
        return [Line(Text("Note", "bold")), *(Line(Text(f"  {row.text.plain}")) for row in rows)] if rows else []

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per fact, below headings."""
        if self.fault:
            return wrap_lines(self.fault, width)
        if self.origin is None or self.measured is None or width < 1:
            return [Line(Text("reading …"))]
        lines = self._show_note(self.measured.note, width)
        sections = describe_origin(self.origin, self.measured.arms)
        longest = {head: max(len(name) for name, _ in pairs) for head, pairs in sections.items()}
        # Facts stand below each other in all sections but those that name arms.
        common = max(room for room in longest.values() if room <= SHORT_NAME or room == min(longest.values()))
        for head, pairs in sections.items():
            lines += [Line(Text("")), Line(Text(head, "bold"))] if lines else [Line(Text(head, "bold"))]
            room = min(max(longest[head], common), max(34, width // 2))
            for name, said in pairs:
                first, *rest = wrap_lines(said, max(20, width - room - 4)) or [Line(Text(""))]
                lines.append(Line(Text.assemble((f"  {shorten(name, room):{room}}  ", "dim"), first.text)))
                lines += [Line(Text(f"{'':{room + 4}}{line.text.plain}")) for line in rest]
        return lines
