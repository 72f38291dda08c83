"""The second panel of a report: how much of each spread is the test set's doing, and how far one bit carried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType

from engine.catalog.measure_declaration import POWER
from engine.catalog.measures import DIAGNOSTICS_PANEL
from engine.catalog.published import read_condition_numbers
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures
from tui.text.format import UNICODE, Symbols
from tui.text.tables import Column, arm_name, draw_panel, format_n, head_columns


def make_diagnostics_columns(symbols: Symbols = UNICODE) -> tuple[Column, ...]:
    """Return the columns of the panel."""
    return head_columns(DIAGNOSTICS_PANEL, symbols)


def make_diagnostics_rows(arms: Iterable[ArmMeasures], symbols: Symbols = UNICODE) -> list[list[str]]:
    """Make one row per arm: name, n, then a cell per column."""
    columns = make_diagnostics_columns(symbols)
    return [[arm_name(arm), format_n(arm), *(column.format(arm, symbols) for column in columns)] for arm in arms]


def make_diagnostics_notes(arms: Sequence[ArmMeasures], reference: str | None = None) -> list[str]:
    """Say what the columns mean, and how far one moved bit carried, beside what was published of that."""
    notes = [
        "test-set SD: what errors at random in this test set alone would give at most, sqrt(disagreement / 2N)",
        "independent SD: from each example's own variance; all SDs here have R - 1 in the denominator",
        "true SD: of accuracy on all data of this kind; its square is estimated without bias and may be negative, "
        "shown as 0: where it is small, the root is too large on average",
        "detectable: the ratio of two arms' SDs that an F test tells apart "
        f"({100 * POWER:g} % power for many replicas, 5 % level)",
    ]
    notes += make_condition_notes(arms)
    if reference is not None and any(arm.condition_number for arm in arms):
        published = read_condition_numbers()
        notes.append(
            f"published, ResNet-14 on CIFAR-10: at least cross entropy {published['cross_entropy']:.1e}, "
            f"accuracy {published['accuracy']:.1e}"
        )
    return notes


def make_condition_notes(arms: Iterable[ArmMeasures]) -> list[str]:
    """Say how far one moved bit carried, of each arm in which one varies."""
    notes: list[str] = []
    for arm in arms:
        numbers = arm.condition_number
        if numbers is not None:
            found = (
                ("cross entropy", numbers.cross_entropy, numbers.cross_entropy_relative),
                ("accuracy", numbers.accuracy, numbers.accuracy_relative),
            )
            parts = [
                f"{name} {absolute:.1e} (relative {relative:.1e})"
                for name, absolute, relative in found
                if absolute is not None and relative is not None
            ]
            notes.append(f"{arm_name(arm)}: condition number of training at least {', '.join(parts)}")
    return notes


def make_diagnostics_panel(
    study: str,
    arms: Sequence[ArmMeasures],
    symbols: Symbols = UNICODE,
    *,
    width: int = 120,
    reference: str | None = None,
    framed: bool = True,
) -> RenderableType | None:
    """Draw the panel; None before two replicas of any arm have finished."""
    if all(arm.find("test_set_sd").value is None for arm in arms):
        return None
    return draw_panel(
        make_diagnostics_rows(arms, symbols),
        make_diagnostics_columns(symbols),
        make_diagnostics_notes(arms, reference),
        symbols,
        width=width,
        title=f" {printable(study)}: diagnostics ",
        legend=" [ ] 95 % over replicas ",
        framed=framed,
    )
