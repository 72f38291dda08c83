"""The growth of moved bits as text: distance by step, a line per arm, and what the end owes to the size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from engine.protocol.faults import printable
from engine.study.estimate import Estimate
from engine.study.growth_record import Growth, Response
from engine.study.metrics_record import ArmMeasures
from tui.text.format import UNICODE, Symbols, format_number, mark_arm, shorten_apart
from tui.text.plot import GlyphSet, Row, draw_plot, to_text
from tui.text.scale import fit_scale
from tui.text.series import Curve

PLOT_ROWS = 14
"""Rows of the picture of a growth at most."""

MOST_PLACES = 4000
"""Steps that a plot shows one by one; of more, each place stands for an epoch."""

HEADS = ("at the move", "at the end", "other classes", "doubles in", "near its end after", "grew")
SHORT_HEADS = ("moved", "end", "differ", "doubles", "near end", "grew")
UNITS = ("distance", "distance", "%", "steps", "steps", "replicas")

ALL_SIZES = 0.2
"""An exponent whose interval lies within so much of 0 or of 1 is said to be hardly other than that."""

TITLE = "relative distance of the weights from the unmoved run"


@dataclass(frozen=True)
class GrowthFamily:
    """Arms that move weights of one training."""

    name: str
    """What their names begin with."""
    arms: tuple[tuple[int, ArmMeasures, Growth], ...]
    """Each with its number among all arms."""
    responses: tuple[Response, ...]
    """One for each time of the move, as far as there are enough sizes."""


def group_growth(arms: Iterable[ArmMeasures], places: Mapping[str, int] | None = None) -> list[GrowthFamily]:
    """Return the arms whose bits' growth was measured, together with those of the same unmoved run.

    Args:
        arms: All arms.
        places: Arm → its number in every picture, where that is not its place among these.
    """
    found: dict[str, list[tuple[int, ArmMeasures, Growth]]] = {}
    for number, arm in enumerate(arms):
        if arm.growth is not None and arm.growth.replicas:
            shown = number if places is None else places.get(arm.name, number)
            found.setdefault(arm.growth.twin, []).append((shown, arm, arm.growth))
    return [
        GrowthFamily(
            name=_name_family([arm.name for _, arm, _ in members]),
            arms=tuple(members),
            responses=tuple({arm.response: None for _, arm, _ in members if arm.response is not None}),
        )
        for members in found.values()
    ]


def _name_family(names: Sequence[str]) -> str:
    """Return what names have in common at their beginning, up to the last whole word; the first name of others."""
    if len(names) == 1:
        return printable(names[0])
    common = "".join(letters[0] for letters in takewhile(_are_equal, zip(*names, strict=False)))
    whole = common.rpartition(" ")[0] if common and not common.endswith((" ", ":")) else common
    return printable(whole.strip(" ,:;-_") or names[0])


def _are_equal(letters: Sequence[str]) -> bool:
    return len(set(letters)) == 1


def make_growth_curves(family: GrowthFamily, name_width: int, symbols: Symbols) -> tuple[list[Curve], str]:
    """Make a curve per arm, by step or where there are very many by epoch; return them with the word for that."""
    longest = max(growth.start + growth.steps[-1] for _, _, growth in family.arms)
    stride, word = (1, "step") if longest <= MOST_PLACES else (family.arms[0][2].steps_per_epoch, "epoch")
    short = shorten_apart([_drop_family(arm.name, family) for _, arm, _ in family.arms], name_width, symbols)
    return [
        Curve(arm.name, number, _by_place(growth, stride), label=f"{mark_arm(number, symbols)} {name}")
        for (number, arm, growth), name in zip(family.arms, short, strict=True)
    ], word


def _drop_family(name: str, family: GrowthFamily) -> str:
    """Return an arm's name without what those of its family have in common."""
    shown = printable(name)
    return shown.removeprefix(family.name).strip(" ,:;-_") or shown


def _by_place(growth: Growth, stride: int) -> tuple[float | None, ...]:
    """Return the distance after every step from 1 on, or every so many; between those that are known by logarithms."""
    points = [
        (growth.start + step, value) for step, value in zip(growth.steps, growth.mean, strict=True) if value is not None
    ]
    last = (growth.start + growth.steps[-1]) // stride
    values: list[float | None] = [None] * last
    for (left, low), (right, high) in pairwise(points):
        for place in range(max(1, -(-left // stride)), right // stride + 1):
            share = (place * stride - left) / (right - left)
            values[place - 1] = math.exp((1 - share) * math.log(low) + share * math.log(high))
    return tuple(values)


def make_growth_rows(family: GrowthFamily, symbols: Symbols = UNICODE) -> list[list[str]]:
    """Make a row per arm: its name, then a cell per head."""
    return [
        [
            _drop_family(arm.name, family),
            format_size(growth.size, 1, symbols),
            format_size(growth.distance, 2, symbols),
            format_number(growth.disagreement.value, 2, symbols),
            format_size(growth.doubling_steps, 2, symbols),
            format_size(growth.saturation_step, 3, symbols),
            f"{growth.grown}/{len(growth.replicas)}",
        ]
        for _, arm, growth in family.arms
    ]


def format_size(found: Estimate, digits: int, symbols: Symbols = UNICODE) -> str:
    """Return a value with so many digits, in the form that is shorter; a dash where there is none."""
    return symbols.missing if found.value is None else f"{found.value:.{digits}g}"


def list_growth(arms: Iterable[ArmMeasures], symbols: Symbols, *, name_width: int, width: int) -> list[str]:
    """List how moved bits grew: a plot for each network, a line per arm, and sentences."""
    lines: list[str] = []
    for family in group_growth(arms):
        drawn = to_text(draw_growth(family, symbols, name_width, width)).splitlines()
        lines += [*([""] if lines else []), f"{family.name}: {TITLE}", *drawn]
        lines += tabulate_growth(family, symbols, name_width, width)
        lines += describe_growth(family)
    return lines


def draw_growth(
    family: GrowthFamily, symbols: Symbols, name_width: int, width: int, height: int = PLOT_ROWS
) -> list[Row]:
    """Draw the distances of a family's arms by step on a logarithmic axis, in so many rows."""
    curves, word = make_growth_curves(family, name_width, symbols)
    scale = fit_scale(curves, log=True)
    glyphs: GlyphSet = "braille" if symbols is UNICODE else "ascii"
    return draw_plot(curves, scale, width, height, glyphs=glyphs, marks=True, step=word)


def tabulate_growth(family: GrowthFamily, symbols: Symbols, name_width: int, width: int) -> list[str]:
    """List the rows of a family below their heads, each with the mark of its arm; with short heads where need be.

    Args:
        family: The arms.
        symbols: What can be shown.
        name_width: Columns of a name at most.
        width: Columns in all.
    """
    rows = make_growth_rows(family, symbols)
    name_width = min(name_width, max(len(row[0]) for row in rows))
    names = shorten_apart([row[0] for row in rows], name_width, symbols)
    marks = [mark_arm(number, symbols) for number, _, _ in family.arms]

    def lay_out(heads: Sequence[str]) -> list[str]:
        table = [("", "", heads), ("", "", UNITS), *zip(marks, names, (row[1:] for row in rows), strict=True)]
        widths = [max(len(cells[place]) for _, _, cells in table) for place in range(len(heads))]
        return [
            f"{mark:1} {name:{name_width}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
            for mark, name, cells in table
        ]

    lines = lay_out(HEADS)
    return lines if max(map(len, lines)) <= width else lay_out(SHORT_HEADS)


def describe_growth(family: GrowthFamily) -> list[str]:
    """Say what the end owes to the size of what was moved, at each time of the move."""
    growths = {arm.name: growth for _, arm, growth in family.arms}
    return [
        f"{family.name}{describe_late(growths[response.arms[0]])}: {_tell(response)}" for response in family.responses
    ]


def describe_late(growth: Growth) -> str:
    """Say when a weight was moved, where that was not at the beginning."""
    return f", moved after epoch {growth.start // growth.steps_per_epoch}" if growth.start else ""


def _tell(response: Response) -> str:
    parts = [f"{describe_response(response)}: ~ size^{format_exponent(response.exponent)}"]
    if response.disagreement_exponent.value is not None:
        parts.append(f"other classes ~ size^{format_exponent(response.disagreement_exponent)}")
    sooner = response.steps_per_doubling
    if sooner.value is not None:
        ends = "" if sooner.interval is None else f" [{sooner.interval[0]:.1f} {sooner.interval[1]:.1f}]"
        parts.append(f"of twice the size it is near its end {sooner.value:.1f}{ends} steps sooner")
    sizes = f"{len(response.arms)} sizes"
    if response.above_floor:
        sizes += ", those larger than what rounding makes of the smallest"
    return f"{'; '.join(parts)} ({sizes})"


def describe_response(response: Response) -> str:
    """Say what the exponent means, where its interval says it."""
    exponent = response.exponent
    if exponent.interval is None:
        return "too few replicas for an interval"
    low, high = exponent.interval
    if low >= -ALL_SIZES and high <= ALL_SIZES:
        return "the distance at the end hardly depends on how far a weight was moved"
    if low >= 1 - ALL_SIZES and high <= 1 + ALL_SIZES:
        return "the distance at the end is proportional to how far a weight was moved"
    if low > 0:
        return "the distance at the end grows with how far a weight was moved"
    return "this does not tell whether the distance at the end depends on how far a weight was moved"


def format_exponent(found: Estimate) -> str:
    """Return an exponent with its interval."""
    assert found.value is not None, "three sizes have an exponent"
    ends = "" if found.interval is None else f" [{found.interval[0]:.2f} {found.interval[1]:.2f}]"
    return f"{found.value:.2f}{ends}"
