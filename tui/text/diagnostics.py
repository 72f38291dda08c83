"""The second panel of a report: how much of each spread is the test set's doing, and how far one bit carried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from engine.catalog.published import read_condition_numbers
from engine.protocol.faults import printable
from tui.text.format import UNICODE, Symbols, format_interval, format_number
from tui.text.tables import Entry, arm_name, draw_panel, format_n


@dataclass(frozen=True)
class Head:
    """A column's head."""

    title: str
    short: str
    unit: str


def make_heads() -> tuple[Head, ...]:
    """The diagnostics in the order in which they are read: what was seen, what chance would give, what is left."""
    return (
        Head("accuracy SD", "acc SD", "%"),
        Head("test-set SD", "test SD", "%"),
        Head("independent SD", "indep SD", "%"),
        Head("true SD", "true SD", "%"),
        Head("error", "error", "%"),
        Head("disagreement", "disagree", "%"),
        Head("detectable", "detect", "SD ratio"),
    )


def make_diagnostics_rows(entries: list[Entry], symbols: Symbols = UNICODE) -> list[list[str]]:
    """One row per arm: name, n, then a cell per head."""
    rows = []
    for entry in entries:
        found: dict[str, Any] = entry.get("diagnostics") or {}
        cells = [
            format_number(entry.get("accuracy_sd"), 3, symbols),
            format_number(found.get("test_set_sd"), 3, symbols),
            format_number(found.get("independent_sd"), 3, symbols),
            format_interval(found.get("true_sd"), found.get("true_sd_ci"), 3, symbols),
            format_number(found.get("error"), 2, symbols),
            format_number(entry.get("disagreement"), 2, symbols),
            format_number(found.get("sd_ratio"), 2, symbols),
        ]
        rows.append([arm_name(entry), format_n(entry), *cells])
    return rows


def make_diagnostics_notes(entries: list[Entry], reference: str | None = None) -> list[str]:
    """What the columns mean, and the condition numbers of arms in which one bit varies, beside the published ones."""
    notes = [
        "test-set SD: what errors at random in this test set alone would give at most, sqrt(disagreement / 2N)",
        "independent SD: from each example's own variance; true SD: of accuracy on all data of this kind, unbiased",
        "detectable: smallest ratio of two arms' SDs that this many replicas tell apart (80 % power, 5 % level)",
    ]
    for entry in entries:
        numbers = entry.get("condition_number")
        if numbers:
            parts = [
                f"{name.replace('_', ' ')} {numbers[name]:.1e} (relative {numbers[f'{name}_relative']:.1e})"
                for name in ("cross_entropy", "accuracy")
                if name in numbers and f"{name}_relative" in numbers
            ]
            notes.append(f"{arm_name(entry)}: condition number of training at least {', '.join(parts)}")
    if reference is not None and any(entry.get("condition_number") for entry in entries):
        published = read_condition_numbers()
        notes.append(
            f"published, ResNet-14 on CIFAR-10: at least cross entropy {published['cross_entropy']:.1e}, "
            f"accuracy {published['accuracy']:.1e}"
        )
    return notes


def make_diagnostics_panel(
    study: str,
    entries: list[Entry],
    symbols: Symbols = UNICODE,
    *,
    width: int = 120,
    reference: str | None = None,
    framed: bool = True,
) -> RenderableType | None:
    """The panel; None before two replicas of any arm have finished."""
    if not any((entry.get("diagnostics") or {}).get("test_set_sd") is not None for entry in entries):
        return None
    return draw_panel(
        make_diagnostics_rows(entries, symbols),
        make_heads(),
        make_diagnostics_notes(entries, reference),
        symbols,
        width=width,
        title=f" {printable(study)}: diagnostics ",
        legend=" [ ] 95 % over replicas ",
        framed=framed,
    )
