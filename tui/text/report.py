"""A study's measures as text for other programs and papers: markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from engine.catalog.published import find_rows
from tui.text.diagnostics import make_diagnostics_notes, make_diagnostics_rows, make_heads
from tui.text.tables import Entry, are_text, arm_name, make_columns, make_notes, make_published_notes, make_rows

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "–": "--",
    "√": r"$\surd$",
}

NUMBERS = (
    "n", "planned", "diverged", "damaged", "accuracy_mean", "accuracy_sd", "accuracy_sd_error", "cross_entropy_mean",
    "cross_entropy_sd", "cross_entropy_sd_error", "disagreement", "disagreement_ci", "correlation", "correlation_ci",
    "ensemble_delta", "ensemble_delta_ci", "ensemble_cross_entropy_delta", "pearson", "perplexity_mean",
    "perplexity_sd", "perplexity_sd_error", "ensemble_perplexity_delta", "ensemble_perplexity_delta_ci",
)  # fmt: skip
"""Fields of the CSV, in order; an interval becomes two columns, _low and _high."""

DIAGNOSTICS = ("test_set_sd", "independent_sd", "true_sd", "true_sd_ci", "error", "sd_ratio")
"""Fields of the diagnostics that follow in the CSV."""


def format_markdown(study: str, entries: list[Entry], reference: str | None = None) -> str:
    """A table for a README or an issue, with the notes as a list."""
    columns = make_columns(text=are_text(entries))
    header = ["source", "n", *(escape_markdown(f"{column.title} ({column.unit})") for column in columns)]
    plain = make_rows(entries, reference=reference, indent="")
    rows = [[escape_markdown(cell) for cell in row] for row in plain]
    lines = [_markdown_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_markdown_row, rows)]
    notes = [f"- {escape_markdown(note)}" for note in make_notes(entries) + make_published_notes(plain)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escape_markdown(text: str) -> str:
    """The text with everything escaped that markdown would take for markup."""
    return "".join(f"\\{char}" if char in "\\|*_`<>[]#" else char for char in text)


def format_latex(study: str, entries: list[Entry], reference: str | None = None) -> str:
    """A booktabs table."""
    columns = make_columns(text=are_text(entries))
    plain = make_rows(entries, reference=reference, indent="")
    heads = [f"{column.title} ({column.unit})" for column in columns]
    return _draw_latex(study, heads, plain, make_notes(entries) + make_published_notes(plain))


def _draw_latex(study: str, heads: list[str], plain: list[list[str]], notes: list[str]) -> str:
    rows = [" & ".join(map(escape_latex, row)) + r" \\" for row in plain]
    header = " & ".join(["source", "$n$", *map(escape_latex, heads)]) + r" \\"
    lines = [
        f"% {escape_latex(study)}; needs \\usepackage{{booktabs}}",
        *(f"% {note}" for note in notes),
        rf"\begin{{tabular}}{{l{'r' * (len(heads) + 1)}}}",
        r"\toprule",
        header,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def format_diagnostics_markdown(entries: list[Entry]) -> str:
    """The diagnostics as a table, with what its columns mean."""
    header = ["source", "n", *(f"{head.title} ({head.unit})" for head in make_heads())]
    rows = [[escape_markdown(cell) for cell in row] for row in make_diagnostics_rows(entries)]
    lines = [_markdown_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_markdown_row, rows)]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in make_diagnostics_notes(entries))]) + "\n"


def format_diagnostics_latex(study: str, entries: list[Entry]) -> str:
    """The diagnostics as a booktabs table."""
    heads = [f"{head.title} ({head.unit})" for head in make_heads()]
    return _draw_latex(study, heads, make_diagnostics_rows(entries), make_diagnostics_notes(entries))


def escape_latex(text: str) -> str:
    """The text as LaTeX shows it."""
    return "".join(LATEX_ESCAPES.get(char, char) for char in text)


def format_csv(study: str, entries: list[Entry], reference: str | None = None) -> str:
    """Every number in full precision, one row per arm and kind; what is missing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = NUMBERS + DIAGNOSTICS
    names = [[f"{name}_low", f"{name}_high"] if name.endswith("_ci") else [name] for name in fields]
    writer.writerow(["study", "source", "kind", "vary", *(name for group in names for name in group)])
    for entry in entries:
        values = entry | (entry.get("diagnostics") or {})
        numbers = [_csv_cells(name, values.get(name)) for name in fields]
        vary = "+".join(entry.get("vary", []))
        writer.writerow([study, arm_name(entry), "measured", vary, *(cell for cells in numbers for cell in cells)])
        for row in find_rows(reference, arm_name(entry)) if reference else ():
            figures = {"n": row.replicas} | row.figures
            numbers = [_csv_cells(name, figures.get(name)) for name in fields]
            writer.writerow([study, arm_name(entry), row.kind, vary, *(cell for cells in numbers for cell in cells)])
    return out.getvalue()


def _csv_cells(name: str, value: Any) -> list[str]:
    if name.endswith("_ci"):
        return ["", ""] if value is None else [repr(end) for end in value]
    return ["" if value is None else repr(value)]


def format_json(study: str, entries: list[Entry], reference: str | None = None) -> str:
    """The content of metrics.json, which holds what was measured and nothing else."""
    return json.dumps({"v": 1, "study": study, "arms": entries}, indent=1, ensure_ascii=True) + "\n"


FORMATS: dict[str, Callable[[str, list[Entry], str | None], str]] = {
    "markdown": format_markdown,
    "latex": format_latex,
    "csv": format_csv,
    "json": format_json,
}
