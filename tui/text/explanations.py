"""Explains as text what is seen: measures and sources by their declarations; words, marks and pictures of screens.

A key names what a piece of text is about. Whoever draws a text gives it the style of its key, so that the explanation
is found from the place on the screen as well as from the thing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Span, Text

from engine.catalog.measure_declaration import Measure, describe_uncertainty
from engine.catalog.measures import DIAGNOSTICS_PANEL, DISPUTES_PANEL, MEASURES, list_columns
from engine.catalog.sources import SOURCES
from tui.text.screen_words import WORDS, Explanation

LETTERS = (
    "In formulas R is the number of replicas, r and s are two of them, N is the number of test examples or words and "
    "C that of classes; A is a replica's accuracy, L its cross-entropy and P its perplexity on them."
)


COMPARISON = {
    "this test set": "Where the mean difference of ever more replicas would end on these very examples. Student's t of "
    "the differences where replica r of both arms was trained with the same seeds, else Welch's.",
    "new examples too": "Where it would end on other test examples of the same kind as well: the variance of replicas "
    "and that of examples, less what both hold.",
    "while looking": "For whoever looks after every pair of replicas and stops when the answer is there: it holds at "
    "all looks together, is wider, and says nothing before the fifth pair.",
    "P(A better than B)": "How often a replica of A beats one of B; equal ones count half.",
    "margin": "The smallest difference that would matter to you. With it the verdict can say that a difference is too "
    "small, or that there is none that matters, and how many replicas would narrow the interval to it.",
    "best of R seeds": "What the best of R trainings is expected to be: above the mean by choice alone, and no promise "
    "for the next training (Picard, 2021).",
    "twice the replicas": "Half the widths of the intervals with twice as many replicas, and twice as many test "
    "examples, as far as the variances at hand tell.",
    "p": "Of a difference as large as this, or larger, where there is none; for all listed measures at once (Holm).",
    "disagreement": "On how many examples a replica of A and one of B, of other seeds, predict different classes; "
    "beyond their own is what is above the mean of both arms' own disagreement.",
    "verdict": "Real where the interval on this test set leaves 0 out; worth having where the difference is at least "
    "the margin, or without one where one arm may win more than three of four times.",
}
"""What stands in a comparison of two arms → what it is."""


def explain_comparison() -> RenderableType:
    """Explain what stands in a comparison of two arms."""
    table = Table.grid(padding=(0, 2, 1, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in COMPARISON.items():
        table.add_row(name, Text(said))
    return table


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
    blocks = Group(*draw_apart(explain_measure(measure) for measure in measures))
    if framed:
        return Panel(blocks, title=Text(f" {title} "), title_align="left", box=box.ROUNDED)
    return Group(Text(""), Text(title, style="bold"), Text(""), blocks)


def _join(blocks: Iterable[RenderableType]) -> list[RenderableType]:
    """Put an empty line between blocks."""
    parts = [part for block in blocks for part in (Text(""), block)]
    return parts[1:]


def explain_measure(measure: Measure) -> Explanation:
    """Explain a measure: title and unit, what it means, its formula, its interval, its source and its fields."""
    narrow = f"in narrow tables: {measure.short}" if measure.short != measure.title else ""
    rows = (
        ("formula", measure.formula),
        ("interval", describe_uncertainty(measure) or "none is given."),
        ("source", measure.source),
        ("in files", ", ".join(measure.fields)),
    )
    return Explanation(measure.title, measure.meaning, aside=(measure.unit, narrow), rows=rows)


def explain_source(name: str) -> Explanation:
    """Explain a source of nondeterminism: what differs between replicas where it varies, and what holds otherwise."""
    source = SOURCES[name]
    return Explanation(f"{name}: {source.title}", rows=(("varies", source.meaning), ("held", source.held)))


# Keys --------------------------------------------------------------------------------------------------------------

META = "explained"
"""Under this name a style holds the key of what a text is about."""


def name_measure(measure: Measure) -> str:
    """Return the key of a measure."""
    return f"measure:{measure.group}:{measure.key}"


@cache
def style_key(key: str) -> Style:
    """Return a style without any looks that says what a text is about."""
    return Style(meta={META: key})


def read_key(style: Style | str) -> str | None:
    """Return the key that a style holds."""
    key = style.meta.get(META) if isinstance(style, Style) else None
    return key if isinstance(key, str) else None


def _begin(span: Span) -> int:
    return span.start


def list_keys(text: Text) -> list[str]:
    """List the keys of the parts of a text, in their order."""
    found = [read_key(style) for style in (text.style, *(span.style for span in sorted(text.spans, key=_begin)))]
    return [key for key in found if key is not None]


def find_explanation(key: str) -> Explanation | None:
    """Return the explanation behind a key: of a measure, a source, or a word or mark of a screen."""
    kind, _, name = key.partition(":")
    if kind == "source":
        return explain_source(name)
    if kind != "measure":
        return WORDS.get(key)
    group, _, name = name.partition(":")
    measure = next((one for one in MEASURES[group] if one.key == name), None)  # pyright: ignore[reportArgumentType]
    return None if measure is None else explain_measure(measure)


# Drawing -----------------------------------------------------------------------------------------------------------


def draw_explanation(explanation: Explanation) -> RenderableType:
    """Draw an explanation: its head, what is said, and rows of labels and texts."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, said in explanation.rows:
        table.add_row(label, Text(said))
    head = Text(explanation.title, "bold")
    for aside in filter(None, explanation.aside):
        head.append(f"  {aside}", "not bold dim")
    said = [Padding(Text(explanation.said), (0, 0, 0, 2))] if explanation.said else []
    return Group(head, *said, *([Padding(table, (0, 0, 0, 2))] if explanation.rows else []))


def draw_apart(explanations: Iterable[Explanation]) -> list[RenderableType]:
    """Draw explanations with an empty line between them."""
    return _join(draw_explanation(one) for one in explanations)
