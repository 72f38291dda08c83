"""The paper's figures from a study's measures, each as PNG, SVG and PDF; equal measures give equal figures.

Figure 1: CKA by layer. Figure 2: measures against onset. Figure 3: accuracy and its SD by epoch. And one for crossed
designs, which the paper has not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from engine.catalog.measures import EPOCH_FIGURES, find_measure
from engine.study.curves_record import ArmCurves, Figures
from engine.study.files import explain_write_errors
from engine.study.measured import Measured
from engine.study.metrics_record import ArmMeasures, Interval, group_onsets

FORMATS = ("png", "svg", "pdf")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe & Ito, "Color Universal Design", 2008: told apart with every kind of colour vision."""

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


def draw_figures(measured: Measured, folder: Path) -> list[Path]:
    """Draw every figure that there are measures for; returns what was written."""
    arms = measured.metrics.arms
    drawn: dict[str, Figure | None] = {}
    with mpl.rc_context(STYLE):
        drawn["figure1-cka"] = draw_similarity(arms)
        drawn["figure2-onset"] = draw_onsets(arms)
        drawn["figure3-instability"] = draw_instability(measured.curves)
        drawn["crossed"] = draw_crossed(arms)
        return [
            path for name, figure in drawn.items() if figure is not None for path in save_figure(figure, folder / name)
        ]


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure in every format, beside each other; returns the files."""
    written: list[Path] = []
    for suffix in FORMATS:
        target = stem.with_name(f"{stem.name}.{suffix}")
        with explain_write_errors(target):
            figure.savefig(target, bbox_inches="tight", metadata=METADATA[suffix])
        written.append(target)
    return written


def colour(number: int) -> str:
    """Return the colour of the arm with this number."""
    return PALETTE[number % len(PALETTE)]


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
        axes.bar(at, heights, width * 0.9, yerr=_turn(reaches), color=colour(number), label=name, error_kw={"lw": 0.8})
    axes.set_xticks(range(len(layers)), layers, rotation=30 if len(layers) > 7 else 0)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("linear CKA, mean over pairs")
    _put_legend(figure, len(compared))
    return figure


ONSET_PANELS = tuple(find_measure("images", key) for key in ("disagreement", "accuracy_sd", "ensemble_delta"))


def draw_onsets(arms: Sequence[ArmMeasures]) -> Figure | None:
    """Draw measures against the epoch at which the sources begin to differ; None where no arm has an onset."""
    families = group_onsets(arms)
    if not families:
        return None
    figure = Figure(figsize=(9, 2.8))
    for axes, measure in zip(figure.subplots(1, len(ONSET_PANELS)), ONSET_PANELS, strict=True):
        for number, (name, members) in enumerate(families.items()):
            points = [(arm.onset, arm.find(measure.key)) for arm in members]
            known = [(onset, found, found.value) for onset, found in points if found.value is not None]
            at, values = [onset for onset, _, _ in known], [value for _, _, value in known]
            reaches = [found.reach or (0.0, 0.0) for _, found, _ in known]
            style = {"fmt": "o-", "ms": 3, "lw": 1, "capsize": 2}
            axes.errorbar(at, values, yerr=_turn(reaches), color=colour(number), label=name, **style)
        axes.set_xlabel("onset, epochs")
        axes.set_ylabel(f"{measure.title}, {measure.unit}")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    figure.tight_layout()
    _put_legend(figure, len(families))
    return figure


def _turn(reaches: Sequence[Interval]) -> list[list[float]]:
    """Return what is drawn below and above each value as the two rows that matplotlib takes."""
    return [[reach[side] for reach in reaches] for side in (0, 1)]


def draw_instability(arms: Sequence[ArmCurves]) -> Figure | None:
    """Draw mean and middle 95 % of accuracy (or perplexity), and the SD over replicas, by epoch.

    Returns:
        None where no arm has two replicas.
    """
    text = any(arm.test_perplexity is not None for arm in arms)
    _, label = EPOCH_FIGURES["perplexity" if text else "accuracy"]
    spreads = [(arm, arm.test_perplexity if text else arm.test_accuracy) for arm in arms]
    shown = [(arm, found) for arm, found in spreads if found is not None and max(found.n) > 1]
    if not shown:
        return None
    figure = Figure(figsize=(9, 3))
    left, right = figure.subplots(1, 2)
    for number, (arm, found) in enumerate(shown):
        left.plot(arm.epochs, _fill_gaps(found.mean), lw=1, color=colour(number), label=arm.name)
        low, high = _fill_gaps(found.low), _fill_gaps(found.high)
        left.fill_between(arm.epochs, low, high, alpha=0.15, lw=0, color=colour(number))
        right.plot(arm.epochs, _fill_gaps(found.sd), lw=1, color=colour(number))
    for axes, title in ((left, f"{label}: mean and middle 95 %"), (right, "SD over replicas")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(title)
    if any(value for _, found in shown for value in found.sd if value):
        right.set_yscale("log")
        for axis_ticks in (right.yaxis.set_major_formatter, right.yaxis.set_minor_formatter):
            axis_ticks("{x:g}")
    figure.tight_layout()
    _put_legend(figure, len(shown))
    return figure


def _fill_gaps(figures: Figures) -> list[float]:
    return [math.nan if value is None else value for value in figures]


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
            axes.barh(rows, shares, left=start, color=colour(number), label=label)
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
