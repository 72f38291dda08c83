"""Draws what replicas disagree about: which part of it counts, the classes and the single examples behind it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from engine.catalog.measures import DISPUTES_PANEL
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures, ClassFigures, Disputes, ExampleVotes
from tui.text.format import UNICODE, Symbols, format_number
from tui.text.tables import PANEL_FRAME, Column, are_text, arm_name, choose_layout, draw_panel, format_n, head_columns

NOT_OF_TEXT = (
    "What replicas disagree about is not measured for language models: classes, confidences and votes of a whole "
    "vocabulary are not kept, only the likeliest word and the true one's probability."
)
TOO_FEW = "What replicas disagree about needs two finished replicas of an arm."
NO_LOGITS = {
    "classes": "What replicas disagree about is not measured where only predicted classes are known.",
    "scores": "What replicas disagree about is not measured where only numbers by name are known.",
}
"""Kind of what runs left → why there is nothing to show."""

NOTES = (
    "disagreement = one is right + both wrong: only the first makes accuracies scatter",
    "SD within a class: root of the mean square over classes, R - 1 in the denominator; small classes scatter more",
    "calibration error: of confidences; calibration of votes: of shares of replicas, larger where these are few",
    "gap to error: disagreement less test error, near 0 where votes are calibrated by class",
)

FIRST_COLUMNS = 5
"""Columns of the first of two tables, where one has no room for all."""

FEW_EXAMPLES = 3
"""Examples of each arm that a report lists; the app lists all that are kept."""


def make_disputes_columns(symbols: Symbols = UNICODE) -> tuple[Column, ...]:
    """Return the columns of the panel."""
    return head_columns(DISPUTES_PANEL, symbols)


def make_disputes_rows(arms: Sequence[ArmMeasures], symbols: Symbols = UNICODE) -> list[list[str]]:
    """Make one row per arm: name, n, then a cell per column."""
    columns = make_disputes_columns(symbols)
    return [[arm_name(arm), format_n(arm), *(column.format(arm, symbols) for column in columns)] for arm in arms]


def explain_absence(arms: Sequence[ArmMeasures]) -> str | None:
    """Say why there is nothing to show of any arm; None where there is."""
    if are_text(arms):
        return NOT_OF_TEXT
    if any(arm.find("disputed").value is not None for arm in arms):
        return None
    kinds = {arm.kind for arm in arms}
    return NO_LOGITS[kinds.pop()] if len(kinds) == 1 and kinds <= NO_LOGITS.keys() else TOO_FEW


def make_disputes_panels(
    study: str,
    arms: Sequence[ArmMeasures],
    symbols: Symbols = UNICODE,
    *,
    width: int = 120,
    framed: bool = True,
    examples: int | None = None,
) -> list[RenderableType]:
    """Draw the measures, and the classes and examples behind them, in panels; the reason where there are none.

    Args:
        study: Its name.
        arms: The arms of metrics.json.
        symbols: What can be shown.
        width: Columns.
        framed: Draw frames.
        examples: How many examples of each arm are listed; None lists all that are kept.
    """
    reason = explain_absence(arms)
    if reason is not None:
        return [Text(reason)]
    columns, rows = make_disputes_columns(symbols), make_disputes_rows(arms, symbols)
    fits = choose_layout(rows, columns, width - PANEL_FRAME if framed else width) is not None
    parts = [slice(None)] if fits else [slice(0, FIRST_COLUMNS), slice(FIRST_COLUMNS, None)]
    panels = [
        draw_panel(
            [[*row[:2], *row[2:][part]] for row in rows],
            columns[part],
            list(NOTES) if part == parts[-1] else [],
            symbols,
            width=width,
            title=f" {printable(study)}: what replicas disagree about ",
            legend=" [ ] 95 % over replicas ",
            framed=framed,
        )
        for part in parts
    ]
    lines = list_disputes(arms, symbols, examples=examples)
    if lines:
        body = Group(*(Text(line) for line in lines))
        title = Text(f" {printable(study)}: classes and examples ")
        panels.append(
            Panel(body, title=title, title_align="left", box=symbols.frame)
            if framed
            else Group(Text(""), Text(title.plain.strip(), style="bold"), body)
        )
    return panels


def list_disputes(arms: Sequence[ArmMeasures], symbols: Symbols = UNICODE, *, examples: int | None = None) -> list[str]:
    """List the classes with the lowest accuracy and the largest SD, and the most disputed examples, of each arm."""
    lines: list[str] = []
    for arm in arms:
        found = arm.disputes
        if found is None:
            continue
        lines.append(f"{arm_name(arm)}, n = {arm.n}")
        lines += [f"  {line}" for line in _list_classes(found, symbols)]
        if not found.examples:
            lines.append("  all replicas agree on every example")
        lines += [f"  {line}" for line in _list_examples(found.examples[:examples])]
    return lines


def _list_classes(found: Disputes, symbols: Symbols) -> list[str]:
    """List the worst classes, and the least steady ones where any is not steady; of few as of many."""
    parts = {f"lowest accuracy of {found.classes} classes, %:": found.worst}
    if any(one.sd for one in found.unsteady):
        parts["largest SD:"] = found.unsteady
    room = max(map(len, parts))
    return [f"{head:{room}}  {', '.join(_describe(one, symbols) for one in few)}" for head, few in parts.items()]


def _describe(one: ClassFigures, symbols: Symbols) -> str:
    accuracy, deviation = format_number(one.accuracy, 1, symbols), format_number(one.sd, 1, symbols)
    return f"{one.label}: {accuracy} (SD {deviation})"


def _list_examples(examples: Sequence[ExampleVotes]) -> list[str]:
    """List examples, the shares of replicas for each class beside them."""
    if not examples:
        return []
    room = max(len(str(one.index)) for one in examples)
    lines = ["most disputed examples, counted from 0:"]
    for one in examples:
        votes = ", ".join(f"{share:.0%} for {label}" for label, share in one.shares)
        lines.append(f"  {one.index:{room}}  is {one.label}: {votes}")
    return lines
