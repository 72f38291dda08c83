"""The measures explained as text: what each is, its formula and source, and what stands beside its value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.catalog.measure_declaration import Measure, describe_uncertainty
from engine.catalog.measures import DIAGNOSTICS_PANEL, DISPUTES_PANEL, MEASURES, list_columns

LETTERS = (
    "In formulas R is the number of replicas, r and s are two of them, N is the number of test examples or words and "
    "C that of classes; A is a replica's accuracy, L its cross-entropy and P its perplexity on them."
)


def group_shown_measures(*, text: bool) -> dict[str, tuple[Measure, ...]]:
    """Return every measure that results of images or language models show, once, by where they show it."""
    table = list_columns("table", text=text)
    known = {measure.key for measure in table}
    diagnostics = tuple(measure for measure in DIAGNOSTICS_PANEL if measure.key not in known)
    known |= {measure.key for measure in diagnostics}
    disputes = tuple(measure for measure in DISPUTES_PANEL if not text and measure.key not in known)
    known |= {measure.key for measure in disputes}
    files = tuple(measure for measure in MEASURES["text" if text else "images"] if measure.key not in known)
    return {
        "table": table,
        "diagnostics": diagnostics,
        "what replicas disagree about": disputes,
        "only in files that are exported or copied": files,
    }


def list_measures(*, text: bool) -> list[Measure]:
    """List every measure that results of images or language models show."""
    return [measure for measures in group_shown_measures(text=text).values() for measure in measures]


def make_explanations(*, text: bool, framed: bool) -> list[RenderableType]:
    """Explain every measure of results, in a panel for each place that shows some of them.

    Args:
        text: For language models rather than networks that classify.
        framed: Draw frames, which take four columns.
    """
    parts: list[RenderableType] = [Padding(Text(LETTERS, style="dim"), (0, 2 if framed else 0))]
    for place, measures in group_shown_measures(text=text).items():
        if measures:
            parts.append(_draw_group(f"measures: {place}", measures, framed=framed))
    return parts


def _draw_group(title: str, measures: Sequence[Measure], *, framed: bool) -> RenderableType:
    blocks = Group(*_join([explain_measure(measure) for measure in measures]))
    if framed:
        return Panel(blocks, title=Text(f" {title} "), title_align="left", box=box.ROUNDED)
    return Group(Text(""), Text(title, style="bold"), Text(""), blocks)


def _join(blocks: Iterable[RenderableType]) -> list[RenderableType]:
    """Put an empty line between blocks."""
    parts = [part for block in blocks for part in (Text(""), block)]
    return parts[1:]


def explain_measure(measure: Measure) -> RenderableType:
    """Explain a measure: title and unit, what it means, its formula, its interval, its source and its fields."""
    rows = {
        "formula": measure.formula,
        "interval": describe_uncertainty(measure) or "none is given.",
        "source": measure.source,
        "in files": ", ".join(measure.fields),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, said in rows.items():
        table.add_row(label, Text(said))
    head = Text.assemble((measure.title, "bold"), "  ", (measure.unit, "dim"))
    if measure.short != measure.title:
        head.append(f"  in narrow tables: {measure.short}", "dim")
    return Group(head, Padding(Text(measure.meaning), (0, 0, 0, 2)), Padding(table, (0, 0, 0, 2)))
