"""The paper's figures from a study's measures, each as PNG, SVG and PDF; equal measures give equal figures.

Figure 1: CKA by layer. Figure 2: measures against onset. Figure 3: range and SD of cross-entropy by epoch, and the same
of accuracy or perplexity where replicas differ in it. And one for crossed designs, which the paper has not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from engine.catalog.arm_marks import find_colour, find_hatch, find_mark
from engine.catalog.measure_declaration import Group
from engine.catalog.measures import EPOCH_FIGURES, find_measure
from engine.study.curves_record import ArmCurves
from engine.study.estimate import Interval
from engine.study.files import OUT, explain_write_errors
from engine.study.growth_record import Growth
from engine.study.instability import SpreadSeries, describe_diverged, select_spreads
from engine.study.measured import MeasuredStudy
from engine.study.metrics_record import ArmMeasures, group_onsets

FORMATS = ("png", "svg", "pdf")
STYLE: Any = {
    "svg.hashsalt": "nondet-tui",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 160,
    "text.usetex": False,
    "text.parse_math": False,  # names are the user's and may hold dollars
}
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw_figures(measured: MeasuredStudy, folder: Path) -> list[Path]:
    """Draw every figure that there are measures for; returns what was written."""
    arms = measured.metrics.arms
    drawn: dict[str, Figure | None] = {}
    with mpl.rc_context(STYLE):
        drawn["figure1-cka"] = draw_similarity(arms)
        drawn["figure2-onset"] = draw_onsets(arms)
        drawn |= draw_instability(measured.curves)
        drawn["growth"] = draw_growth(arms)
        drawn["crossed"] = draw_crossed(arms)
        return [
            path for name, figure in drawn.items() if figure is not None for path in save_figure(figure, folder / name)
        ]


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure in every format, beside each other; returns the files."""
    written: list[Path] = []
    for suffix in FORMATS:
        target = stem.with_name(f"{stem.name}.{suffix}")
        with explain_write_errors(target, place=OUT):
            figure.savefig(target, bbox_inches="tight", metadata=METADATA[suffix])
        written.append(target)
    return written


def style_line(number: int) -> dict[str, Any]:
    """Return colour and marker of the arm with this number, for a line."""
    mark, colour = find_mark(number), find_colour(number)
    return {"color": colour, "marker": mark.marker, "mfc": colour if mark.filled else "white", "ms": 3}


def draw_similarity(arms: Sequence[ArmMeasures]) -> Figure | None:
    """Draw bars of each layer's mean CKA over pairs, by arm, with 95 % intervals; None without any."""
    compared = [(arm.name, arm.cka) for arm in arms if arm.cka]
    if not compared:
        return None
    layers = list(dict.fromkeys(layer.layer for _, found in compared for layer in found))
    figure = Figure(figsize=(max(5.0, 0.9 * len(layers) + 2), 3.2))
    axes = figure.subplots()
    width = 0.8 / len(compared)
    for number, (name, found) in enumerate(compared):
        places = [layers.index(layer.layer) for layer in found if layer.cka is not None]
        heights = [layer.cka for layer in found if layer.cka is not None]
        reaches = [layer.estimate.reach or (0.0, 0.0) for layer in found if layer.cka is not None]
        at = [place + (number - (len(compared) - 1) / 2) * width for place in places]
        style: dict[str, Any] = {"color": find_colour(number), "hatch": find_hatch(number), "ec": "white", "lw": 0}
        axes.bar(at, heights, width * 0.9, yerr=_turn(reaches), label=name, error_kw={"lw": 0.8}, **style)
    axes.set_xticks(range(len(layers)), layers, rotation=30 if len(layers) > 7 else 0)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("linear CKA, mean over pairs")
    _put_legend(figure, len(compared))
    return figure


ONSET_PANELS: dict[Group, tuple[str, ...]] = {
    "images": ("accuracy_sd", "cross_entropy_sd", "disagreement", "ensemble_delta"),
    "text": ("perplexity_sd", "disagreement", "ensemble_perplexity_delta"),
}
"""What figure 2 shows: the first two are the paper's."""


def draw_onsets(arms: Sequence[ArmMeasures]) -> Figure | None:
    """Draw measures against the epoch at which the sources begin to differ; None where no arm has an onset."""
    families = group_onsets(arms)
    if not families:
        return None
    group: Group = "text" if any(arm.text for arm in arms) else "images"
    panels = [find_measure(group, key) for key in ONSET_PANELS[group]]
    rows = math.ceil(len(panels) / 3)
    figure = Figure(figsize=(9, 2.8 * rows))
    places = figure.subplots(rows, math.ceil(len(panels) / rows), squeeze=False)
    for axes, measure in zip(places.flat, panels, strict=True):
        for number, (name, members) in enumerate(families.items()):
            points = [(arm.onset, arm.find(measure.key)) for arm in members]
            known = [(onset, found, found.value) for onset, found in points if found.value is not None]
            at, values = [onset for onset, _, _ in known], [value for _, _, value in known]
            reaches = [found.reach or (0.0, 0.0) for _, found, _ in known]
            style = style_line(number) | {"ls": "-", "lw": 1, "capsize": 2}
            axes.errorbar(at, values, yerr=_turn(reaches), label=name, **style)
        axes.set_xlabel("onset, epochs")
        axes.set_ylabel(f"{measure.title}, {measure.unit}")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    figure.tight_layout()
    _put_legend(figure, len(families))
    return figure


def _turn(reaches: Sequence[Interval]) -> list[list[float]]:
    """Return what is drawn below and above each value as the two rows that matplotlib takes."""
    return [[reach[side] for reach in reaches] for side in (0, 1)]


def draw_instability(arms: Sequence[ArmCurves]) -> dict[str, Figure | None]:
    """Draw how far replicas lie apart by epoch, a picture for each figure that `select_spreads` chooses.

    Returns:
        The pictures by the names of their files; none where no arm has two replicas.
    """
    notes = describe_diverged(arms)
    return {
        f"figure3-{'instability' if figure == 'cross-entropy' else figure}": draw_spread(figure, series, notes)
        for figure, series in select_spreads(arms).items()
    }


def draw_spread(figure_name: str, series: Sequence[SpreadSeries], notes: Sequence[str]) -> Figure:
    """Draw mean and middle 95 % of a figure by epoch, and beside it their SD and the width of the middle 95 %."""
    figure = Figure(figsize=(9, 3))
    left, right = figure.subplots(1, 2)
    for one in series:
        style = style_line(one.number)
        left.plot(one.epochs, one.mean, lw=1, markevery=_place_markers(one), label=one.arm.name, **style)
        left.fill_between(one.epochs, one.low, one.high, alpha=0.15, lw=0, color=style["color"])
        widths = [high - low for low, high in zip(one.low, one.high, strict=True)]
        _plot_sizes(right, one.epochs, widths, color=style["color"], ls="--", lw=0.7)
        _plot_sizes(right, one.epochs, one.sd, markevery=_place_markers(one), ls="-", lw=1, **style)
    left.set_ylabel(f"{EPOCH_FIGURES[figure_name]}:\nmean and middle 95 %")
    right.set_ylabel("over replicas: SD (line),\nwidth of middle 95 % (dashed)")
    last = max(epoch for one in series for epoch in one.epochs)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(1, max(2, last))
    sizes = [value for one in series for value in one.sd]
    notes = [*notes, *(["on the lower edge: an SD of 0"] if _use_log_scale(right) and 0.0 in sizes else [])]
    figure.tight_layout()
    if notes:
        figure.text(0.5, 1.0, "\n".join(notes), ha="center", va="bottom", fontsize=7)
    _put_legend(figure, len(series))
    return figure


MARKERS = 6
"""Marks along a line."""


def _place_markers(series: SpreadSeries) -> tuple[int, int]:
    """Return the first marker of a line and the distance between two: those of other arms lie elsewhere."""
    step = max(1, len(series.epochs) // MARKERS)
    return series.number % step, step


def _plot_sizes(axes: Axes, epochs: Sequence[int], sizes: Sequence[float], **style: Any) -> None:
    """Plot sizes that a logarithmic axis is to show: those of 0 lie on its lower edge."""
    axes.plot(epochs, [size if size > 0 else math.nan for size in sizes], **style)
    # A point alone has no line: its marker shows it.
    zeros = [0.0 if size == 0 else math.nan for size in sizes]
    if 0.0 in zeros:
        edge: dict[str, Any] = style | {"marker": ".", "ms": 2, "markevery": 1}
        axes.plot(epochs, zeros, transform=axes.get_xaxis_transform(), clip_on=False, **edge)


def _use_log_scale(axes: Axes) -> bool:
    """Make the vertical axis logarithmic, with ticks that are told apart, where anything on it is above 0."""
    values = [float(value) for line in axes.lines for value in line.get_ydata() if value > 0]  # pyright: ignore
    if not values:
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        return False
    axes.set_yscale("log")
    decades = math.log10(max(values) / min(values))
    every = range(1, 10) if decades < 0.5 else (1, 2, 5) if decades < 2 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=every))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return True


def draw_growth(arms: Sequence[ArmMeasures]) -> Figure | None:
    """Draw the distance of the weights of runs with a moved bit from those of the run without, by step.

    Each unmoved run has a panel, with the geometric mean over replicas of every arm and their range; None without any.
    """
    panels: dict[str, list[tuple[int, str, Growth]]] = {}
    for number, arm in enumerate(arms):
        if arm.growth is not None and arm.growth.steps:
            panels.setdefault(arm.growth.twin, []).append((number, arm.name, arm.growth))
    if not panels:
        return None
    figure = Figure(figsize=(1 + 3.4 * len(panels), 3.2))
    places = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, members in zip(places, panels.values(), strict=True):
        for number, name, growth in members:
            steps = [growth.start + step for step in growth.steps]
            rows = (growth.mean, growth.low, growth.high)
            mean, low, high = ([math.nan if value is None else value for value in row] for row in rows)
            style = style_line(number) | {"markevery": max(1, len(steps) // MARKERS)}
            axes.plot(steps, mean, lw=1, label=name, **style)
            axes.fill_between(steps, low, high, alpha=0.1, lw=0, color=style["color"])
        axes.set_xlabel("step")
    _use_log_scale(places[0])
    figure.axes[0].set_ylabel("distance of the weights\nfrom those of the unmoved run")
    figure.tight_layout()
    for axes in places:  # after the layout, which would make room for them by shrinking the plots
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=6)
    return figure


def draw_crossed(arms: Sequence[ArmMeasures]) -> Figure | None:
    """Draw the shares of main effects and interaction in the variance of each figure; None without a crossed arm."""
    grids = [(arm.name, arm.crossed) for arm in arms if arm.crossed is not None and arm.crossed.figures]
    if not grids:
        return None
    figure = Figure(figsize=(6, 0.6 + 0.9 * len(grids) * 3))
    for axes, (name, grid) in zip(figure.subplots(len(grids), 1, squeeze=False)[:, 0], grids, strict=True):
        rows = list(grid.figures)
        start = [0.0] * len(rows)
        parts = zip(*((p.first, p.second, p.interaction) for p in grid.figures.values()), strict=True)
        for number, (label, components) in enumerate(zip((*grid.sources, "interaction"), parts, strict=True)):
            shares = [component.share or 0.0 for component in components]
            axes.barh(rows, shares, left=start, color=find_colour(number), label=label)
            start = [a + b for a, b in zip(start, shares, strict=True)]
        axes.set_xlim(0, 1)
        axes.set_title(name, fontsize=9)
        axes.invert_yaxis()
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.set_xlabel("share of variance")
    figure.tight_layout()
    return figure


def _put_legend(figure: Figure, entries: int) -> None:
    """Put the legend below the figure, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(4, entries))
