"""Prints results to stdout and everything else to stderr; text of the user is never taken for markup."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from engine.protocol.faults import printable
from engine.study.measured import MeasuredStudy
from engine.study.notes import find_note
from engine.study.paths import StudyPaths
from engine.study.study_plan import read_plan
from engine.study.view import StudyView
from tui.text.answers.sentences import Found
from tui.text.answers.trust import answer_sharing
from tui.text.decisions import describe_comparison
from tui.text.diagnostics import make_diagnostics_panel
from tui.text.disputes import FEW_EXAMPLES, make_disputes_panels
from tui.text.format import Symbols, choose_symbols
from tui.text.notes import list_said
from tui.text.report import format_json
from tui.text.tables import make_notes, make_panel
from tui.text.text_figures import make_figure_panels

PIPED_WIDTH = 150
"""Columns of a table that goes to a file or a pipe: wide enough that nothing is folded."""


def print_text(console: Console, text: str) -> None:
    """Print one message as it is: no markup, no folding of long paths, nothing that the stream cannot show."""
    encoded = text.encode(console.encoding or "ascii", errors="backslashreplace").decode(console.encoding or "ascii")
    console.print(Text(encoded), soft_wrap=True)


def name_runs(arms: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """Name every run as the screens do: by the first arm that it counts for, and its replica.

    Args:
        arms: Names of arms with their runs.
    """
    names: dict[str, str] = {}
    for arm, runs in arms:
        for number, run in enumerate(runs, start=1):
            names.setdefault(run, f"{printable(arm)}, replica {number}, run {run}")
    return names


def print_page(page: str) -> None:
    """Print an HTML page in the encoding that it names, whatever the terminal's is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(page.encode())
    sys.stdout.buffer.flush()


class ResultsConsole(Console):
    """Stdout; whoever stops reading it early (`| head`) is no failure, which rich would make exit code 1."""

    def on_broken_pipe(self) -> None:
        """Leave the error to the command line, which knows what it means."""
        raise BrokenPipeError


def results_console() -> Console:
    """Return stdout, with colour only where it is a terminal."""
    console = ResultsConsole(highlight=False)
    return console if console.is_terminal else ResultsConsole(highlight=False, width=PIPED_WIDTH, color_system=None)


def print_results(paths: StudyPaths, measured: MeasuredStudy, *, as_json: bool) -> None:
    """Print the table of a study's measures, or the content of its metrics.json."""
    metrics = measured.metrics
    if as_json:
        sys.stdout.write(format_json(metrics.study, metrics.arms))
        return
    console = results_console()
    plan = read_plan(paths)
    empty = {arm.name: arm.empty for arm in plan.arms}
    sharing = answer_sharing(Found(metrics.arms, runs=len(plan.order)))
    notes = [*make_notes(metrics.arms, empty), *(answer.text for answer in sharing)]
    symbols = choose_symbols(console.encoding)
    study, arms = metrics.study, metrics.arms
    for line in (*list_said(find_note(paths)), *_list_decided(paths, symbols)):
        print_text(console, line)
    console.print(make_panel(study, arms, notes, symbols, width=console.width, reference=plan.reference))
    diagnostics = make_diagnostics_panel(study, arms, symbols, width=console.width, reference=plan.reference)
    if diagnostics is not None:
        console.print(diagnostics)
    if diagnostics is not None:
        for panel in make_disputes_panels(study, arms, symbols, width=console.width, examples=FEW_EXAMPLES):
            console.print(panel)
    for panel in make_figure_panels(study, arms, measured.curves, symbols, width=console.width):
        console.print(panel)


def _list_decided(paths: StudyPaths, symbols: Symbols) -> list[str]:
    """Say how the comparison ended of a study that trains until it is decided."""
    compare = read_plan(paths).compare
    if compare is None or not compare.until_decided:
        return []
    return describe_comparison(StudyView(paths, measures=()).refresh(), symbols)


def describe_repair(paths: StudyPaths, damaged: int) -> str:
    """Say what is done about finished runs whose files are damaged."""
    protocol = printable(read_plan(paths).protocol.file)
    return (
        f"{damaged} finished {'run is' if damaged == 1 else 'runs are'} damaged and left out: "
        f"`nondet-tui --batch {protocol}`, the command that trained them, trains them again"
    )
