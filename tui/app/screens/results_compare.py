"""The tab that sets two arms against each other: of one study or of two, found by letters in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.fuzzy import Matcher
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.metrics_record import find_metrics
from engine.study.paths import StudyPaths, iterate_studies
from engine.study.records import find_record
from engine.study.run_records import ResultRecord, read_recipe
from engine.study.study_plan import read_plan
from tui.app.schemes import arm_style
from tui.app.screens.results_data import ShownMeasures
from tui.app.widgets.lines import Line, LinesView, wrap_lines
from tui.app.widgets.owner import app_class
from tui.app.widgets.panes import LinesPane
from tui.text.format import Symbols, mark_arm
from tui.text.tables import arm_name
from tui.text.versus import LEAST_PICTURE, Contender, Row, compare_measures, describe_versus

TITLE, VALUE, FIGURES, VERDICT = 22, 18, 28, 19
"""Columns of a measure's name, of a figure, of a difference with its interval, and of what is said of it."""


@dataclass(frozen=True)
class Candidate:
    """An arm that can be compared."""

    paths: StudyPaths
    number: int
    """Its place in its study's plan."""
    contender: Contender

    @property
    def label(self) -> str:
        """The name in the lists."""
        return f"{arm_name(self.contender.arm)}  {printable(self.paths.name)}, n = {self.contender.arm.n}"


@dataclass
class CandidatesListed(Message):
    """Brings the measured arms of all studies, those of the study that is open first."""

    candidates: tuple[Candidate, ...]


@dataclass
class PairRead(Message):
    """Brings two arms with the recipes and the accuracies of their replicas."""

    first: Contender
    second: Contender


def list_candidates(first: StudyPaths, store: Path) -> tuple[Candidate, ...]:
    """Return every arm of a store with two measured replicas or more, those of one study first.

    Args:
        first: The study that comes first; it need not be in the store.
        store: Folder of all studies.
    """
    folders = [first, *(paths for paths in iterate_studies(store) if paths.folder != first.folder)]
    found: list[Candidate] = []
    for paths in folders:
        metrics = find_metrics(paths.metrics)
        for number, arm in enumerate(() if metrics is None else metrics.arms):
            if arm.n > 1:
                found.append(Candidate(paths, number, Contender(paths.name, arm)))
    return tuple(found)


def read_contender(candidate: Candidate) -> Contender:
    """Read an arm's recipe and the accuracies of its replicas, as far as they can be read."""
    contender, recipe = candidate.contender, None
    try:
        plan = read_plan(candidate.paths)
        runs = next((arm.runs for arm in plan.arms if arm.name == contender.arm.name), ())
        recipe = read_recipe(candidate.paths.run(runs[0]), runs[0]) if runs else None
    except NondetError:
        recipe = None  # figures are compared all the same
    results = [find_record(candidate.paths.run(run).result, ResultRecord) for run in contender.arm.runs_used]
    alone = contender.arm.ensemble_size == 1
    known = [one.test_accuracy for one in results if one is not None]
    accuracies = tuple(accuracy for accuracy in known if accuracy is not None) if alone else ()
    return Contender(contender.study, contender.arm, recipe, accuracies)


class Picker(LinesPane):
    """Lists the arms of which one is chosen; the cursor is the choice."""

    SHOWS = ("candidates", "needle")
    candidates: var[tuple[Candidate, ...]] = var(())
    needle: var[str] = var("")

    def __init__(self, symbols: Symbols, title: str, *, name_id: str) -> None:
        """Take what can be shown, and what is chosen."""
        super().__init__(name_id=name_id, classes="box")
        self.symbols = symbols
        self.border_title = title

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm that fits what is typed, the best fit first."""
        matcher = Matcher(self.needle) if self.needle else None
        scores = {n: matcher.match(one.label) if matcher else 1.0 for n, one in enumerate(self.candidates)}
        places = sorted((n for n, score in scores.items() if score > 0), key=lambda n: -scores[n])
        lines: list[Line] = []
        for place in places:
            one = self.candidates[place]
            text = Text(f"{mark_arm(one.number, self.symbols)} ", arm_style(one.number, self.app.theme), no_wrap=True)
            text.append(arm_name(one.contender.arm))
            text.append(one.label[len(arm_name(one.contender.arm)) :], "not bold dim")
            lines.append(Line(text, str(place)))
        return lines or [Line(Text(f"no arm like {self.needle}" if self.needle else "no measured arm", "dim"))]


class Verdict(LinesPane):
    """Shows what differs between two arms."""

    SHOWS = ("pair",)
    pair: var[PairRead | None] = var(None)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="verdict", classes="box", cursor=False)
        self.symbols = symbols
        self.border_title = "What differs"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a row per measure, then what a reader has to know."""
        if self.pair is None or width < 1:
            return wrap_lines("Choose two arms: the cursor of each list is the choice.", max(width, 1))
        one, other = self.pair.first, self.pair.second
        rest = width - TITLE - 2 * VALUE - FIGURES - VERDICT - 5
        wide = rest >= LEAST_PICTURE
        rows = compare_measures(one, other, rest if wide else width - FIGURES - VERDICT - 4, self.symbols)
        lines = [_draw_wide(row) for row in rows] if wide else [line for row in rows for line in _draw_narrow(row)]
        if wide:
            heads = f"{'':{TITLE}} {'first':>{VALUE}} {'second':>{VALUE}} {'difference or ratio':>{FIGURES}}"
            lines = [Line(Text(heads, "bold")), *lines]
        said = describe_versus(one, other, rows)
        return [*lines, Line(Text("")), *(part for text in said for part in wrap_lines(text, width, indent="  "))]


def _draw_wide(row: Row) -> Line:
    """Return a measure in one line."""
    figures = f"{row.title:{TITLE}} {row.one:>{VALUE}} {row.other:>{VALUE}} {row.difference:>{FIGURES}} "
    style = "bold" if row.is_seen else ""
    return Line(
        Text.assemble((figures, style), (row.picture, style), (f" {row.verdict}", style or "dim"), no_wrap=True)
    )


def _draw_narrow(row: Row) -> list[Line]:
    """Return a measure in two lines."""
    style = "bold" if row.is_seen else ""
    second = f"  {row.picture} {row.difference:{FIGURES}} {row.verdict}"
    return [Line(Text(f"{row.title}: {row.one} and {row.other}", style)), Line(Text(second, style, no_wrap=True))]


class ComparePage(Vertical):
    """Lets two arms be chosen, and shows what differs between them."""

    app = getters.app(app_class)

    measured: var[ShownMeasures | None] = var(None)
    candidates: var[tuple[Candidate, ...]] = var(())
    pair: var[PairRead | None] = var(None)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("tab", "app.focus_next", "Next list"),
    ]

    def __init__(self, paths: StudyPaths, store: Path, symbols: Symbols) -> None:
        """Take the study that comes first, the folder of all studies, and what can be shown."""
        super().__init__(id="comparepage")
        self.paths, self.store, self.symbols = paths, store, symbols
        self.filtered = 0

    def compose(self) -> ComposeResult:
        """Lay out filter, lists and result."""
        cls = ComparePage
        yield Input(placeholder="letters of an arm or a study", id="armfilter")
        with Horizontal(id="pickers"):
            yield Picker(self.symbols, "First", name_id="first").data_bind(cls.candidates)
            yield Picker(self.symbols, "Second", name_id="second").data_bind(cls.candidates)
        yield Verdict(self.symbols).data_bind(cls.pair)

    def on_mount(self) -> None:
        """Hide the filter until it is asked for."""
        self.query_one("#armfilter", Input).display = False

    def watch_measured(self) -> None:
        """List the arms again, since one may have more replicas."""
        if self.measured is not None:
            self._list()

    @work(thread=True, exclusive=True, group="candidates")
    def _list(self) -> None:
        """Read the measures of all studies outside the event loop."""
        self.post_message(CandidatesListed(list_candidates(self.paths, self.store)))

    def on_candidates_listed(self, event: CandidatesListed) -> None:
        """Show the arms; at first those are chosen that the study's first sentence is about."""
        first = not self.candidates
        self.candidates = event.candidates
        if first and event.candidates and self.measured is not None:
            names = [one.contender.arm.name for one in event.candidates]
            wanted = [name for answer in self.measured.answers[:1] for name in answer.arms if name in names]
            for picker, place in zip(self.query(Picker), (0, 1), strict=True):
                chosen = names.index(wanted[place]) if place < len(wanted) else min(place, len(names) - 1)
                picker.move_to(str(chosen))
        self.compare()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Compare what the cursors are on now."""
        event.stop()
        self.compare()

    def compare(self) -> None:
        """Compare the two arms under the cursors, once more of them is read."""
        keys = [picker.key for picker in self.query(Picker)]
        if None not in keys:
            first, second = (self.candidates[int(key or 0)] for key in keys)
            self._read(first, second)

    @work(thread=True, exclusive=True, group="pair", description="read two arms")  # not with all of their figures
    def _read(self, first: Candidate, second: Candidate) -> None:
        """Read recipes and accuracies outside the event loop."""
        self.post_message(PairRead(read_contender(first), read_contender(second)))

    def on_pair_read(self, event: PairRead) -> None:
        """Show what differs."""
        self.pair = event

    # The filter ----------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Ask for letters of the arm that is looked for in the list with the focus."""
        self.filtered = 1 if self.query_one("#second").has_focus else 0
        field = self.query_one("#armfilter", Input)
        field.value, field.display = self._find_picker().needle, True
        field.focus()

    def _find_picker(self) -> Picker:
        return self.query_one("#second" if self.filtered else "#first", Picker)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the arms that fit what is typed, with the cursor on the best."""
        picker = self._find_picker()
        picker.needle = event.value
        picker.action_first()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, on the arm that was found."""
        self._close()

    def on_key(self, event: events.Key) -> None:
        """Leave the filter at Esc, with all arms in the list again."""
        if event.key == "escape" and self.query_one("#armfilter", Input).has_focus:
            event.stop()
            self._find_picker().needle = ""
            self._close()

    def _close(self) -> None:
        field = self.query_one("#armfilter", Input)
        field.display = False
        self._find_picker().focus()
