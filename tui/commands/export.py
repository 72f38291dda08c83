"""`report --out DIR`: tables and figures of a study as files, ready for a paper."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.protocol.faults import printable
from engine.study.files import OUT, make_folder, write_bytes
from engine.study.measured import MeasuredStudy, encode_measured
from engine.study.paths import StudyPaths
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
    arguments = command("engine.report", str(folder.resolve()))
    done = subprocess.run(arguments, input=encode_measured(measured), capture_output=True, cwd="/", check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise StudyError(f"{folder}: tables are written, figures are not: {reason}")
    return [*texts, *done.stdout.decode().split()]
