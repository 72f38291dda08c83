"""A study's measures as text for other programs and papers: markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence

from engine.catalog.measures import MEASURES
from engine.catalog.published import find_rows
from engine.study.metrics_record import ArmMeasures, describe_metrics, spread_estimates
from tui.text.diagnostics import make_diagnostics_columns, make_diagnostics_notes, make_diagnostics_rows
from tui.text.disputes import NOTES, explain_absence, list_disputes, make_disputes_columns, make_disputes_rows
from tui.text.tables import (
    NOT_ISOLATED,
    arm_name,
    make_interval_notes,
    make_notes,
    make_published_notes,
    make_rows,
    pick_columns,
)

Figure = float | list[float] | None
"""A field of metrics.json: a number, the ends of an interval, or nothing."""

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

INTERVAL_FIELDS = frozenset(measure.interval_field for group in MEASURES.values() for measure in group)

COUNTS = ("n", "planned", "diverged", "damaged")
"""Fields of an arm that come first in the CSV."""


def list_numbers() -> tuple[str, ...]:
    """Return the fields of the CSV in order: the counts, and those of every measure and diagnostic."""
    fields = [field for group in MEASURES.values() for measure in group for field in measure.fields]
    return tuple(dict.fromkeys((*COUNTS, *fields)))


def format_markdown(study: str, arms: Sequence[ArmMeasures], reference: str | None = None) -> str:
    """Write a table for a README or an issue, with the notes as a list."""
    columns = pick_columns(arms)
    header = ["source", "n", *(escape_markdown(f"{column.title} ({column.unit})") for column in columns)]
    plain = make_rows(arms, reference=reference, indent="", wide=True)
    rows = [[escape_markdown(cell) for cell in row] for row in plain]
    lines = [_markdown_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_markdown_row, rows)]
    notes = [f"- {escape_markdown(note)}" for note in make_notes(arms) + make_published_notes(plain)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


NUMERIC_BRACKETS = re.compile(r"(?<!\])\[[-+]?[0-9][-+0-9.e ]*\](?![\[(:])")
"""An interval: brackets around numbers, which no link follows, are shown as they are."""


def escape_markdown(text: str) -> str:
    """Return the text with everything escaped that markdown would take for markup; intervals stay legible."""
    parts: list[str] = []
    start = 0
    for found in NUMERIC_BRACKETS.finditer(text):
        parts += [_escape_markup(text[start : found.start()]), found[0]]
        start = found.end()
    return "".join([*parts, _escape_markup(text[start:])])


def _escape_markup(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\|*_`<>[]#~&" else char for char in text)


def format_latex(study: str, arms: Sequence[ArmMeasures], reference: str | None = None) -> str:
    """Write a booktabs table."""
    columns = pick_columns(arms)
    plain = make_rows(arms, reference=reference, indent="")
    heads = [f"{column.title} ({column.unit})" for column in columns]
    notes = [*make_notes(arms), *make_interval_notes(arms), *make_published_notes(plain)]
    # The other notes are comments, for whoever writes the caption; this one has to be printed.
    leaks = [rf"\par\noindent{{\footnotesize {escape_latex(note)}}}" for note in notes if NOT_ISOLATED in note]
    return "".join([_draw_latex(study, heads, plain, notes), *(f"{leak}\n" for leak in leaks)])


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


def format_diagnostics_markdown(arms: Sequence[ArmMeasures]) -> str:
    """Write the diagnostics as a table, with what its columns mean."""
    header = ["source", "n", *(f"{column.title} ({column.unit})" for column in make_diagnostics_columns())]
    rows = [[escape_markdown(cell) for cell in row] for row in make_diagnostics_rows(arms)]
    lines = [_markdown_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_markdown_row, rows)]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in make_diagnostics_notes(arms))]) + "\n"


def format_disputes_markdown(arms: Sequence[ArmMeasures]) -> str:
    """Write what replicas disagree about as a table, with its notes, classes and examples; or why there is none."""
    reason = explain_absence(arms)
    if reason is not None:
        return f"{escape_markdown(reason)}\n"
    header = ["source", "n", *(f"{column.title} ({column.unit})" for column in make_disputes_columns())]
    rows = [[escape_markdown(cell) for cell in row] for row in make_disputes_rows(arms)]
    lines = [_markdown_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_markdown_row, rows)]
    notes = [f"- {escape_markdown(note)}" for note in NOTES]
    # Indented lines are shown as they are, whatever an arm is called.
    listed = [f"    {line}" for line in list_disputes(arms)]
    return "\n".join(["### What replicas disagree about", "", *lines, "", *notes, "", *listed]) + "\n"


def format_diagnostics_latex(study: str, arms: Sequence[ArmMeasures]) -> str:
    """Write the diagnostics as a booktabs table."""
    heads = [f"{column.title} ({column.unit})" for column in make_diagnostics_columns()]
    return _draw_latex(study, heads, make_diagnostics_rows(arms), make_diagnostics_notes(arms))


def escape_latex(text: str) -> str:
    """Return the text as LaTeX shows it."""
    return "".join(LATEX_ESCAPES.get(char, char) for char in text)


def format_csv(study: str, arms: Sequence[ArmMeasures], reference: str | None = None) -> str:
    """Write every number in full precision, one row per arm and kind; what is missing is empty.

    Kinds are measured, published and replicated, and baseline: one published network that was trained as the row's.
    An interval becomes two columns, _low and _high.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = list_numbers()
    names = [[f"{name}_low", f"{name}_high"] if name in INTERVAL_FIELDS else [name] for name in fields]
    writer.writerow(["study", "source", "kind", "vary", *(name for group in names for name in group), "unisolated"])
    for arm in arms:
        vary = "+".join(arm.vary)

        def write(kind: str, figures: Mapping[str, Figure], arm: ArmMeasures = arm, vary: str = vary) -> None:
            cells = [cell for name in fields for cell in _csv_cells(name, figures.get(name))]
            writer.writerow([study, arm_name(arm), kind, vary, *cells, arm.unisolated if kind == "measured" else None])

        measured = spread_estimates(arm.estimates, arm.measures)
        diagnosed = spread_estimates(arm.diagnostics, MEASURES["diagnostics"])
        counts = {"n": arm.n, "planned": arm.planned, "diverged": arm.diverged, "damaged": arm.damaged}
        write("measured", {**counts, **measured, **diagnosed})
        for row in find_rows(reference, arm_name(arm)) if reference else ():
            write(row.kind, {"n": row.replicas, **row.figures})
            if row.baseline:
                write("baseline", {"n": 1, **row.baseline})
    return out.getvalue()


def _csv_cells(name: str, value: Figure) -> list[str]:
    if isinstance(value, list):
        return [repr(end) for end in value]
    missing = ["", ""] if name in INTERVAL_FIELDS else [""]
    return missing if value is None else [repr(value)]


def format_json(study: str, arms: Sequence[ArmMeasures], reference: str | None = None) -> str:
    """Return the content of metrics.json, which holds what was measured and nothing else."""
    return json.dumps(describe_metrics(study, arms), indent=1, ensure_ascii=True) + "\n"


FORMATS: dict[str, Callable[[str, Sequence[ArmMeasures], str | None], str]] = {
    "markdown": format_markdown,
    "latex": format_latex,
    "csv": format_csv,
    "json": format_json,
}
