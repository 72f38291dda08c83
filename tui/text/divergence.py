"""Says where two runs part and how their difference grows: sentences, a table, and a plot of characters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.protocol.faults import printable
from engine.study.divergence_record import ROUNDING, Batches, Divergence, GrowthPoint, Operation, Rate, Tensors
from tui.text.format import UNICODE, Symbols, format_seconds
from tui.text.plot import GlyphSet, Row, draw_plot, to_text
from tui.text.scale import fit_scale
from tui.text.series import Curve

SHOWN_NAMES = 4
"""Parameters that are named where several differ."""

FEW_ULPS = 100_000
"""Units of the last place that still say something: more are told as a difference of values."""

NEAR_ROUNDING = 4.0
"""How many times as far apart as by rounding networks may be that have not left it."""

JUMP = 10.0
"""A factor in one step that is a jump."""

PLOT_WIDTH, PLOT_HEIGHT = 100, 16

GROWN = 0.5
"""The share of the largest distance at which the growth is over."""

BEHIND, LEAST_STEPS = 2.5, 40
"""How many times as many steps as the growth takes are drawn, and how many at least."""

CAUSES = {
    "kernel": "a kernel adds in another order: threads, atomic additions, or a library that chose another kernel",
    "random": "something draws random numbers outside of the seeds, or one run draws more often",
    "operations": "the program takes another way: a condition on a value, a cache, or a module that keeps state",
    "argument": "a number that the program computes itself differs: a setting, a counter, a clock",
    "input": "something outside of torch made it: a clock, numpy without a seed, state that a module keeps",
    "memory": "a tensor is read before it is filled, or numpy or a kernel of one's own has filled it",
    "untraced": "the step was traced without what is compiled or recorded: try it with packs and compile off",
}
"""What usually stands behind what differs first."""


@dataclass(frozen=True)
class Told:
    """Holds what was found out about two runs, with what else differs between them."""

    found: Divergence
    settings: tuple[str, ...] = ()
    """The settings in which their recipes differ."""
    seeds: tuple[str, ...] = ()
    """The seeds and bits in which they do."""
    trained: tuple[str, ...] = ()
    """What else they were trained with, where that differs: devices, versions."""


def name_pair(found: Divergence) -> str:
    """Name two runs: by their arm where they are of one."""
    same = found.arms[0] == found.arms[1] and found.studies[0] == found.studies[1]
    return f"{printable(found.arms[0])}, {name_members(found)}" if same else name_members(found)


def name_members(found: Divergence) -> str:
    """Name two runs without their arm where they are of one."""
    arms, (one, other) = [printable(name) for name in found.arms], found.replicas
    if found.studies[0] != found.studies[1]:
        arms = [f"{printable(study)}: {arm}" for study, arm in zip(found.studies, arms, strict=True)]
    if arms[0] == arms[1]:
        return f"replicas {one} and {other}"
    return f"{arms[0]}, replica {one}, and {arms[1]}, replica {other}"


def say_place(found: Divergence) -> str:
    """Say when two runs part."""
    if found.epoch is None:
        epochs = "1 epoch" if found.epochs == 1 else f"{found.epochs} epochs"
        return f"they do not part: all weights are equal to the bit at every step of {epochs}"
    if found.epoch == 0:
        return "they differ before the first step: by their initial weights"
    if found.step is None:
        return f"they part before the first step of epoch {found.epoch}: a weight was moved between two epochs"
    return f"they part in epoch {found.epoch}, in step {found.step + 1} of {found.steps}"


def list_reasons(told: Told) -> list[str]:
    """Say in sentences in what their recipes differ, then what differs first when they are trained, and how."""
    found = told.found
    lines = [f"their settings differ: {'; '.join(map(printable, told.settings))}"] if told.settings else []
    lines += [f"what varies between them: {'; '.join(told.seeds)}"] if told.seeds else []
    if found.weights:
        lines.append(_say_weights(found.weights))
    if found.batches is not None:
        lines.append(say_batches(found.batches))
    if found.operation is not None:
        lines.append(_say_operation(found, found.operation))
    if found.tensors is not None and found.kind != "data":
        lines.append(_say_tensors(found.tensors))
    unexplained = found.kind is not None and not told.settings and not told.seeds
    cause = CAUSES.get(found.kind or "") if unexplained else None
    lines += [] if cause is None else [f"usually: {cause}"]
    return lines


def _say_weights(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:SHOWN_NAMES]))
    rest = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"other numbers in {shown}{rest}"


def say_batches(batches: Batches) -> str:
    """Say how the minibatches of a step differ."""
    size, other = batches.size
    if batches.shared == size == other:
        if batches.is_reversed:
            said = f"the same {size} examples in reverse order"
        elif batches.moved:
            said = f"the same {size} examples in another order"
        else:
            said = f"the same {size} examples in the same order"
        if batches.altered:
            said += f", {batches.altered} of them with other values: cropped, flipped or drawn otherwise"
    else:
        said = f"other examples: {batches.shared} are in both minibatches of {size} and {other}"
    shown = " and ".join(" ".join(map(str, names)) + " …" for names in batches.examples)
    return f"the step sees other data: {said} ({shown})"


def _say_operation(found: Divergence, operation: Operation) -> str:
    place = f"{printable(operation.name)}, operation {operation.number + 1} of {found.operations} ({operation.phase}"
    place += f" of {printable(operation.module)})" if operation.module else ")"
    what = printable(operation.place)
    if operation.parameter:
        what += f", which is {printable(operation.parameter)},"
    said = {
        "kernel": f"all inputs of {place} agree to the bit, and its {what} does not",
        "random": f"{place} draws from generators in different states",
        "operations": f"from {place} on the two runs do other operations",
        "argument": f"{place} is called with other numbers: {_say_arguments(operation)}",
        "memory": f"{place} reads memory that no operation of torch has written into",
        "data": f"{place} is the first operation that reads it",
        "input": f"{what} of {place} differs, and no operation of the step made it",
    }
    return said.get(found.kind or "", place)


def _say_arguments(operation: Operation) -> str:
    one, other = (printable(text).split(", ") for text in operation.arguments)
    first, second = [word for word in one if word not in other], [word for word in other if word not in one]
    return f"{', '.join(first) or 'nothing'} and {', '.join(second) or 'nothing'}"


def _say_tensors(tensors: Tensors) -> str:
    counted = "1 number of" if tensors.differing == 1 else f"{tensors.differing:,} numbers of"
    near = tensors.ulps is not None and tensors.ulps <= FEW_ULPS
    size = [f"{tensors.ulps:,.0f} ulp"] if near else []
    size += [] if tensors.absolute is None else [f"{tensors.absolute:.3g}"]
    most = f", by {' or '.join(size)} at most" if size else ""
    place = "[" + ", ".join(map(str, tensors.where)) + "]"
    return (
        f"{counted} {tensors.elements:,} differ{'s' if tensors.differing == 1 else ''}{most}: at {place} "
        f"{printable(tensors.first)} and {printable(tensors.second)}"
    )


def list_repetition(told: Told) -> list[str]:
    """Say whether training both again gave what their files say, and what else differs where it did not."""
    found = told.found
    lines: list[str] = []
    if not found.is_recorded:
        lines.append("their files hold no digests of weights, so nobody knows whether this is what happened then")
    for replica, arm, epoch in zip(found.replicas, found.arms, found.strayed, strict=True):
        if epoch is not None:
            since = "from the start" if epoch == 0 else f"from epoch {epoch} on"
            lines.append(f"trained again, {printable(arm)}, replica {replica}, is {since} not what its file says")
    if found.epoch is None and found.recorded is not None:
        lines.append(
            f"by their files they part in epoch {found.recorded}, and trained again side by side they do not: "
            "what made them differ is not in their recipes"
        )
    if lines and told.trained:
        lines.append(f"they were trained with other things, too: {'; '.join(told.trained)}")
    return lines


def list_rates(found: Divergence) -> list[str]:
    """Say how fast the difference grows, and where it ends."""
    points = found.growth
    lines = [_say_rate(rate) for rate in found.rates]
    relative = [point.relative for point in points if point.relative is not None]
    if not lines and relative:
        if max(relative) <= NEAR_ROUNDING * ROUNDING:
            lines.append(f"it stays as small as rounding: {max(relative):.1e} of the weights at most")
        else:
            lines.append("no part of the growth is exponential over a factor of 10")
    jump = find_jump(points)
    if jump is not None:
        lines.append(
            f"the largest jump is in step {jump[0]} behind the parting: {jump[1]:,.0f} times as far in one step"
        )
    last = points[-1] if points else None
    if last is not None and last.disagreement is not None and last.relative is not None:
        kind = "words" if found.is_text else "predictions"
        lines.append(
            f"after epoch {found.epochs} the weights are {last.relative:.2g} of their length apart, and "
            f"{last.disagreement:.3g} % of {found.test_examples:,} {kind} differ"
        )
    return lines


def _say_rate(rate: Rate) -> str:
    name = "the weights' distance" if rate.quantity == "weights" else "that of the logits"
    low, high = rate.interval
    doubled = [math.log(2) / end for end in (high, low) if end > 0]
    ends = (
        f"{doubled[0]:.3g} to {doubled[1]:.3g}"
        if len(doubled) == 2
        else f"{doubled[0]:.3g} or more"
        if doubled
        else "-"
    )
    steps = "-" if rate.doubling_steps is None else f"{rate.doubling_steps:.3g}"
    return (
        f"{name} doubles every {steps} steps ({ends}; {100 * rate.per_step:.3g} % a step as a logarithm) in steps "
        f"{rate.steps[0]} to {rate.steps[1]}, R² {rate.fit:.3f}"
    )


def find_jump(points: Sequence[GrowthPoint]) -> tuple[int, float] | None:
    """Return the step in which the weights part by the largest factor, and that; None where they never jump."""
    factors = [
        (after.weights / before.weights, after.step)
        for before, after in itertools.pairwise(points)
        if before.weights and after.weights and after.step == before.step + 1
    ]
    factor, step = max(factors, default=(0.0, 0))
    return (step, factor) if factor >= JUMP else None


def choose_points(points: Sequence[GrowthPoint], most: int = 20) -> list[GrowthPoint]:
    """Return the points of a table: the first, those where steps have doubled, and the ends of some epochs."""
    chosen: dict[int, GrowthPoint] = {}
    due = 0
    for point in points:
        if point.step >= due and (point.logits is not None or point.step < 4):
            chosen[point.step] = point
            due = max(1, 2 * point.step)
    ends = [point for point in points if point.epoch is not None]
    room = max(1, most - len(chosen))
    places = {round(place * (len(ends) - 1) / max(1, room - 1)) for place in range(room if ends else 0)}
    chosen |= {ends[place].step: ends[place] for place in places}
    return [chosen[step] for step in sorted(chosen)]


TITLES = ("steps", "epoch", "weights", "relative", "logits", "differ")


def make_rows(found: Divergence, symbols: Symbols = UNICODE, most: int = 20) -> list[tuple[str, ...]]:
    """Return the rows of a table of growth, as TITLES names them."""

    def show(value: float | None) -> str:
        return symbols.missing if value is None else f"{value:.2e}"

    return [
        (
            str(point.step),
            "" if point.epoch is None else str(point.epoch),
            show(point.weights),
            show(point.relative),
            show(point.logits),
            symbols.missing if point.disagreement is None else f"{point.disagreement:.2f} %",
        )
        for point in choose_points(found.growth, most)
    ]


def make_curves(found: Divergence) -> list[Curve]:
    """Return the curves of a plot: the relative distance of weights and of logits, by step behind the parting."""
    named = {"weights": "relative", "logits": "logits_relative"}
    return [
        Curve(name, number, _fill([(point.step, getattr(point, field)) for point in found.growth]), label=name)
        for number, (name, field) in enumerate(named.items())
    ]


def _fill(points: Sequence[tuple[int, float | None]]) -> list[float | None]:
    """Return a value for every step: on a line of the logarithm between those that were looked at."""
    known = [(step, value) for step, value in points if value]
    filled: list[float | None] = [None] * (known[-1][0] + 1 if known else 0)
    for (start, low), (end, high) in itertools.pairwise(known):
        for step in range(start, end):
            filled[step] = low * (high / low) ** ((step - start) / (end - start))
    if known:
        filled[known[-1][0]] = known[-1][1]
    return filled


def choose_last(points: Sequence[GrowthPoint]) -> int:
    """Return the last step that a picture shows: a while behind the growth, which takes little room beside the rest."""
    known = [(point.step, point.relative) for point in points if point.relative]
    largest = max((value for _, value in known), default=0.0)
    grown = next((step for step, value in known if value >= GROWN * largest), 0)
    return min(points[-1].step if points else 0, max(LEAST_STEPS, round(BEHIND * grown)))


def say_axis(found: Divergence) -> str:
    """Say what a picture shows, and how much of it."""
    last, whole = choose_last(found.growth), found.growth[-1].step if found.growth else 0
    part = f", over the first {last:,} of {whole:,} steps" if last < whole else ""
    return f"distance as a share of the first run's{part}"


def draw_growth(found: Divergence, width: int, height: int, glyphs: GlyphSet = "braille") -> list[Row]:
    """Draw how the difference grows by step behind the parting, on a logarithmic axis."""
    curves = make_curves(found)
    scale = fit_scale(curves, log=True, last=choose_last(found.growth) + 1)
    return draw_plot(
        curves, scale, width, height, glyphs=glyphs, marks=True, empty="there is no difference", step="steps"
    )


def describe_divergence(told: Told, symbols: Symbols = UNICODE, *, width: int = PLOT_WIDTH) -> list[str]:
    """Return everything that was found out about two runs as lines of text."""
    found = told.found
    lines = [name_pair(found), say_place(found)]
    lines += [f"  {line}" for line in list_reasons(told)]
    lines += [f"  {line}" for line in list_repetition(told)]
    if found.growth:
        lines += ["", "how the difference grows, by steps behind the parting"]
        lines += align_rows(make_rows(found, symbols))
        glyphs: GlyphSet = "braille" if symbols is UNICODE else "ascii"
        lines += ["", say_axis(found)]
        lines += to_text(draw_growth(found, width, PLOT_HEIGHT, glyphs)).split("\n")
        lines += ["", *list_rates(found)]
    lines += [f"found out in {format_seconds(found.seconds)} on {printable(found.device)}"]
    return lines


def align_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table below its titles, a line per row."""
    rows = [TITLES, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    return ["  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
