"""`report --out DIR`: tables and figures of a study as files, ready for a paper."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.protocol.faults import printable
from engine.study.comparison_record import PowerPlan
from engine.study.files import OUT, make_folder, write_bytes
from engine.study.measured import MeasuredStudy, encode_measured
from engine.study.paths import StudyPaths
from engine.study.records import encode_record
from engine.study.study_plan import read_plan
from tui.commands.page_data import gather_page
from tui.html.study_page import make_study_page
from tui.text.report import FORMATS, format_diagnostics_latex, format_diagnostics_markdown, format_disputes_markdown

SUFFIXES = {"markdown": "md", "latex": "tex", "csv": "csv", "json": "json"}


def export_study(paths: StudyPaths, folder: Path, measured: MeasuredStudy, damage: tuple[str, ...] = ()) -> list[str]:
    """Write everything that a paper may want of a study into a folder; files of other names stay as they are.

    Args:
        paths: The study.
        folder: Made where it is not there.
        measured: What was measured of the study.
        damage: What is said of damaged runs.

    Returns:
        The names of the files.

    Raises:
        StudyError: If the folder cannot be written, or drawing fails, with what the process said.
    """
    metrics = measured.metrics
    reference = read_plan(paths).reference
    study, arms = printable(metrics.study), metrics.arms
    texts = {f"table.{SUFFIXES[name]}": write(study, arms, reference) for name, write in FORMATS.items()}
    texts |= {
        "diagnostics.md": format_diagnostics_markdown(arms),
        "diagnostics.tex": format_diagnostics_latex(study, arms),
        "disputes.md": format_disputes_markdown(arms),
        "report.html": make_study_page(gather_page(paths, measured, damage)),
    }
    make_folder(folder, place=OUT)
    for name, text in texts.items():
        write_bytes(folder / name, text.encode(), place=OUT)
    found = draw([str(folder.resolve())], encode_measured(measured), f"{folder}: tables are written, figures are not")
    return [*texts, *found]


def export_plan(plan: PowerPlan, folder: Path) -> list[str]:
    """Write the picture of a plan into a folder, which is made where it is not there; returns the names of the files.

    Raises:
        StudyError: If the folder cannot be written, or drawing fails.
    """
    make_folder(folder, place=OUT)
    return draw(["plan", str(folder.resolve())], encode_record(plan), f"{folder}: the picture is not written")


def draw(words: list[str], content: bytes, failed: str) -> list[str]:
    """Send a process what it is to draw, and return the names of its files.

    Raises:
        StudyError: That begins with what has failed then.
    """
    done = subprocess.run(command("engine.report", *words), input=content, capture_output=True, cwd="/", check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise StudyError(f"{failed}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout.decode().split()
