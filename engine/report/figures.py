"""The paper's figures from a study's files, each as PNG, SVG and PDF; equal files give equal figures.

Figure 1: CKA by layer. Figure 2: measures against onset. Figure 3: accuracy and its SD by epoch. And one for crossed
designs, which the paper has not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from engine.study.files import explain_write_errors, read_json
from engine.study.paths import StudyPaths

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

Arm = dict[str, Any]


def draw_figures(paths: StudyPaths, folder: Path) -> list[Path]:
    """Draw every figure that the study has measures for; returns what was written."""
    metrics = read_json(paths.metrics) or {}
    curves = read_json(paths.curves) or {}
    drawn: dict[str, Figure | None] = {}
    with mpl.rc_context(STYLE):
        arms: list[Arm] = metrics.get("arms", [])
        drawn["figure1-cka"] = draw_similarity(arms)
        drawn["figure2-onset"] = draw_onsets(arms)
        drawn["figure3-instability"] = draw_instability(curves.get("arms", []))
        drawn["crossed"] = draw_crossed(arms)
        written = []
        for name, figure in drawn.items():
            for kind in FORMATS if figure is not None else ():
                target = folder / f"{name}.{kind}"
                with explain_write_errors(target):
                    figure.savefig(target, bbox_inches="tight", metadata=METADATA[kind])  # pyright: ignore[reportOptionalMemberAccess]
                written.append(target)
    return written


def colour(number: int) -> str:
    """Of the arm with this number."""
    return PALETTE[number % len(PALETTE)]


def draw_similarity(arms: list[Arm]) -> Figure | None:
    """Bars of each layer's mean CKA over pairs, by arm, with 95 % intervals; None without any."""
    compared = [arm for arm in arms if arm.get("cka")]
    if not compared:
        return None
    layers = list(dict.fromkeys(layer["layer"] for arm in compared for layer in arm["cka"]))
    figure = Figure(figsize=(max(5.0, 0.9 * len(layers) + 2), 3.2))
    axes = figure.subplots()
    width = 0.8 / len(compared)
    for number, arm in enumerate(compared):
        found = {layer["layer"]: layer for layer in arm["cka"] if layer["cka"] is not None}
        places = [i for i, layer in enumerate(layers) if layer in found]
        heights = [found[layers[i]]["cka"] for i in places]
        half = [_half_width(found[layers[i]]) for i in places]
        at = [i + (number - (len(compared) - 1) / 2) * width for i in places]
        axes.bar(at, heights, width * 0.9, yerr=half, color=colour(number), label=arm["name"], error_kw={"lw": 0.8})
    axes.set_xticks(range(len(layers)), layers, rotation=30 if len(layers) > 7 else 0)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("linear CKA, mean over pairs")
    _put_legend(figure, len(compared))
    return figure


def _half_width(layer: dict[str, Any]) -> float:
    return 0.0 if layer["cka_ci"] is None else (layer["cka_ci"][1] - layer["cka_ci"][0]) / 2


ONSET_PANELS = (
    ("disagreement", "disagreement_ci", "disagreement, %"),
    ("accuracy_sd", "accuracy_sd_error", "accuracy SD, %"),
    ("ensemble_delta", "ensemble_delta_ci", "ensemble Δ, % points"),
)


def draw_onsets(arms: list[Arm]) -> Figure | None:
    """Measures against the epoch at which the sources begin to differ; None where no arm has an onset."""
    families: dict[str, list[Arm]] = {}
    for arm in arms:
        if arm.get("onset") is not None:
            families.setdefault(arm["name"].removesuffix(f", onset {arm['onset']}"), []).append(arm)
    if not families:
        return None
    figure = Figure(figsize=(9, 2.8))
    for axes, (field, spread, label) in zip(figure.subplots(1, len(ONSET_PANELS)), ONSET_PANELS, strict=True):
        for number, (name, members) in enumerate(families.items()):
            points = sorted((arm for arm in members if arm.get(field) is not None), key=lambda arm: arm["onset"])
            at, values = [arm["onset"] for arm in points], [arm[field] for arm in points]
            error = [_error(arm, field, spread) for arm in points]
            axes.errorbar(at, values, yerr=error, fmt="o-", ms=3, lw=1, capsize=2, color=colour(number), label=name)
        axes.set_xlabel("onset, epochs")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    figure.tight_layout()
    _put_legend(figure, len(families))
    return figure


def _error(arm: Arm, field: str, spread: str) -> float:
    value = arm.get(spread)
    if value is None:
        return 0.0
    return value if isinstance(value, float) else max(0.0, value[1] - arm[field])


def draw_instability(arms: list[Arm]) -> Figure | None:
    """Mean and middle 95 % of accuracy (or perplexity), and the SD over replicas, by epoch; None without replicas."""
    measure, label = "test_accuracy", "test accuracy, %"
    if any("test_perplexity" in arm for arm in arms):
        measure, label = "test_perplexity", "test perplexity"
    shown = [arm for arm in arms if arm.get(measure) and max(arm[measure]["n"]) > 1]
    if not shown:
        return None
    figure = Figure(figsize=(9, 3))
    left, right = figure.subplots(1, 2)
    for number, arm in enumerate(shown):
        epochs, found = arm["epochs"], arm[measure]
        columns = {key: [float("nan") if v is None else v for v in values] for key, values in found.items()}
        left.plot(epochs, columns["mean"], lw=1, color=colour(number), label=arm["name"])
        left.fill_between(epochs, columns["low"], columns["high"], alpha=0.15, lw=0, color=colour(number))
        right.plot(epochs, columns["sd"], lw=1, color=colour(number))
    for axes, title in ((left, f"{label}: mean and middle 95 %"), (right, "SD over replicas")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(title)
    if any(value for arm in shown for value in arm[measure]["sd"] if value):
        right.set_yscale("log")
        for axis_ticks in (right.yaxis.set_major_formatter, right.yaxis.set_minor_formatter):
            axis_ticks("{x:g}")
    figure.tight_layout()
    _put_legend(figure, len(shown))
    return figure


def draw_crossed(arms: list[Arm]) -> Figure | None:
    """Shares of main effects and interaction in the variance of each figure; None without a crossed arm."""
    grids = [(arm["name"], arm["crossed"]) for arm in arms if arm.get("crossed") and "accuracy" in arm["crossed"]]
    if not grids:
        return None
    names = ("accuracy", "cross_entropy", "logits", "log_probability")
    figure = Figure(figsize=(6, 0.6 + 0.9 * len(grids) * 3))
    for axes, (name, grid) in zip(figure.subplots(len(grids), 1, squeeze=False)[:, 0], grids, strict=True):
        rows = [figure_name for figure_name in names if figure_name in grid]
        start = [0.0] * len(rows)
        labels = (*grid["sources"], "interaction")
        for number, component in enumerate(("first", "second", "interaction")):
            shares = [grid[row][component]["share"] or 0.0 for row in rows]
            axes.barh(rows, shares, left=start, color=colour(number), label=labels[number])
            start = [a + b for a, b in zip(start, shares, strict=True)]
        axes.set_xlim(0, 1)
        axes.set_title(name, fontsize=9)
        axes.invert_yaxis()
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.set_xlabel("share of variance")
    figure.tight_layout()
    return figure


def _put_legend(figure: Figure, entries: int) -> None:
    """Below the figure, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(4, entries))
