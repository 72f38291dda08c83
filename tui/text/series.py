"""An arm's curve as it is drawn: made of the spread of its replicas by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.protocol.faults import printable
from engine.study.instability import SpreadSeries
from engine.study.series import ArmSeries, Sum
from tui.text.format import MISSING, Symbols, mark_arm, shorten_apart

SPREAD_DECADES = 4
"""How far the axis of spreads reaches below the largest: the rest would leave no room for what matters."""


@dataclass(frozen=True)
class Curve:
    """One arm as it is drawn; None are gaps."""

    name: str
    colour: int
    """Number of the arm, which keeps its colour whatever else is shown."""
    middle: Sequence[float | None]
    """By epoch from 1."""
    inner: Sequence[tuple[float, float] | None] = ()
    """One SD to both sides."""
    outer: Sequence[tuple[float, float] | None] = ()
    """Least to most."""
    replicas: Sequence[Sequence[float | None]] = ()
    """Each replica by epoch from 1, as faint lines."""
    label: str = ""
    """The text behind the curve's end."""


def count_ended(measure: str, epoch: int, diverged: Mapping[int, int]) -> int:
    """Count the figures of a measure at an epoch that come from networks which diverged in it.

    Their accuracy is a number, which says what guessing gives. Their cross-entropy and perplexity are not finite, and
    so are not among the figures.
    """
    return diverged.get(epoch, 0) if measure == "accuracy" else 0


def has_spread(found: Sum, ended: int) -> bool:
    """Tell whether an epoch has an SD: it needs two replicas or more, and one of them that has not diverged."""
    return found.n > max(1, ended)


def make_curve(
    series: ArmSeries,
    measure: str,
    colour: int,
    *,
    spread: bool = False,
    diverged: Mapping[int, int] | None = None,
    epoch: int | None = None,
) -> Curve:
    """Make an arm's curve of a measure.

    Args:
        series: The arm's epochs.
        measure: Key of EPOCH_FIGURES.
        colour: Number of the arm.
        spread: Make it of the SD over replicas instead.
        diverged: Epoch → how many replicas diverged in it.
        epoch: Whose SD the label names; None takes the last that has one.
    """
    ends = diverged or {}
    sums: list[Sum | None] = [found if found.n else None for found in series.sums.get(measure, [])]
    spreads = [
        s if s is not None and has_spread(s, count_ended(measure, epoch, ends)) else None
        for epoch, s in enumerate(sums, start=1)
    ]
    label = _make_label(sums, spreads, ends, epoch)
    if spread:
        return Curve(series.name, colour, [None if s is None else s.sd for s in spreads], label=label)
    return Curve(
        series.name,
        colour,
        [None if s is None else s.mean for s in sums],
        [None if s is None else (s.mean - s.sd, s.mean + s.sd) for s in spreads],
        [None if s is None else (s.low, s.high) for s in spreads],
        label=label,
    )


def _make_label(
    sums: Sequence[Sum | None], spreads: Sequence[Sum | None], diverged: Mapping[int, int], epoch: int | None
) -> str:
    """Return the SD at an epoch and how many replicas diverged; or the reason why there is no SD."""
    reached = max((number for number, found in enumerate(sums, start=1) if found is not None), default=0)
    last, total = sums[reached - 1] if reached else None, sum(diverged.values())
    if total and (last is None or last.n <= sum(n for end, n in diverged.items() if end >= reached)):
        return f"{total} diverged"
    if last is None:
        return ""
    known = [number for number, found in enumerate(spreads, start=1) if found is not None]
    at = epoch or max(known, default=0)
    found = spreads[at - 1] if 1 <= at <= len(spreads) else None
    if found is not None:
        text = f"±{found.sd:.2g}" if epoch or at == reached else f"±{found.sd:.2g} at {at}"
    else:
        text = MISSING if known or last.n > 1 else "n=1"
    return f"{text} ~{total}" if total else text


def make_spread_curves(
    series: Sequence[SpreadSeries], name_width: int, symbols: Symbols, *, places: Mapping[str, int] | None = None
) -> list[Curve]:
    """Make a curve per arm of the SD that was measured over its finished replicas, labelled by its mark and name.

    Args:
        series: The arms.
        name_width: Columns of a name.
        symbols: What can be shown.
        places: Arm → its place in the plan, where that is not its place among those that were measured; an arm that
            is not there is left out.
    """
    names = shorten_apart([printable(one.arm.name) for one in series], name_width, symbols)
    curves: list[Curve] = []
    for one, name in zip(series, names, strict=True):
        number = one.number if places is None else places.get(one.arm.name)
        if number is not None:
            curves.append(Curve(one.arm.name, number, _by_epoch(one), label=f"{mark_arm(number, symbols)} {name}"))
    return curves


def _by_epoch(series: SpreadSeries) -> tuple[float | None, ...]:
    """Return the SD of every epoch from 1 on; None where there is none."""
    known = dict(zip(series.epochs, series.sd, strict=True))
    return tuple(known.get(epoch) for epoch in range(1, series.epochs[-1] + 1))
