"""`report`: a study's measures as a table, as text of another format, or as files; what is damaged is said."""

from __future__ import annotations

import sys

from rich.console import Console

from engine.errors import EXIT_OK, EXIT_RUNS_FAILED
from engine.protocol.faults import printable
from engine.study.measured import MeasuredStudy, read_measured
from engine.study.paths import StudyPaths, enter_path
from engine.study.study_plan import read_plan
from tui.commands.export import export_study
from tui.commands.measuring import refresh_metrics
from tui.commands.output import describe_repair, print_page, print_results, print_text
from tui.commands.page_data import gather_page
from tui.html.study_page import make_study_page
from tui.text.counts import plural
from tui.text.report import FORMATS, format_disputes_markdown


def report_study(paths: StudyPaths, *, kind: str, out: str | None) -> int:
    """Bring a study's measures up to date and print them, or write them into a folder.

    Args:
        paths: The study.
        kind: table, html, or one of FORMATS.
        out: The folder; None prints.

    Returns:
        The exit code: 1 where finished runs are damaged and left out.
    """
    measured = refresh_metrics(paths) or read_measured(paths)
    console = Console(stderr=True, highlight=False)
    if out is not None:
        folder = enter_path(out)
        names = export_study(paths, folder, measured, tuple(list_damaged(measured)))
        print_text(console, f"{plural(len(names), 'file')} in {folder}: {', '.join(names)}")
    elif kind == "table":
        print_results(paths, measured, as_json=False)
    elif kind == "html":
        print_page(make_study_page(gather_page(paths, measured, tuple(list_damaged(measured)))))
    else:
        metrics, reference = measured.metrics, read_plan(paths).reference
        sys.stdout.write(FORMATS[kind](printable(metrics.study), metrics.arms, reference))
        if kind == "markdown":
            sys.stdout.write(f"\n{format_disputes_markdown(metrics.arms)}")
    damaged = list_damaged(measured)
    if not damaged:
        return EXIT_OK
    sys.stdout.flush()
    for line in damaged:
        print_text(console, printable(line))
    print_text(console, describe_repair(paths, len(damaged)))
    return EXIT_RUNS_FAILED


REPLICA = "replica "
"""Begins what the measures say of a damaged run."""


def list_damaged(measured: MeasuredStudy) -> list[str]:
    """Return what is said of each damaged run, by the first arm that it counts for."""
    said: dict[str, str] = {}
    for arm in measured.metrics.arms:
        reason = arm.reasons.get("damaged")
        for text in [] if reason is None else reason.removeprefix(REPLICA).split(f"; {REPLICA}"):
            said.setdefault(text.partition(", ")[2] or text, f"{arm.name}, {REPLICA}{text}")
    return list(said.values())
