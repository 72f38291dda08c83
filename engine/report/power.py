"""The picture of a plan: how often a difference is found with ever more replicas, and what they cost."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from engine.catalog.arm_marks import find_colour
from engine.report.figures import STYLE, save_figure
from engine.study.comparison_record import UNITS, PowerPlan

UNITS_S = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def draw_plan(plan: PowerPlan, folder: Path) -> list[Path]:
    """Write the picture of a plan as plan.png, .svg and .pdf; returns the files."""
    with mpl.rc_context(STYLE):
        return save_figure(draw_power(plan), folder / "plan")


def draw_power(plan: PowerPlan) -> Figure:
    """Draw power against the replicas of each arm, with the hours of training above where a pilot's are known."""
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    replicas, power = zip(*plan.curve, strict=True)
    axes.plot(replicas, power, marker="o", ms=3, lw=1, color=find_colour(0))
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    shown = [count for count in replicas if count in TICKS]
    axes.set_xticks(shown, [str(count) for count in shown])
    axes.axhline(plan.power, color="0.6", lw=0.7, ls="--")
    if plan.replicas is not None:
        axes.axvline(plan.replicas, color="0.6", lw=0.7, ls="--")
        axes.annotate(f" {plan.replicas}", (plan.replicas, 0.02), fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("replicas of each arm")
    axes.set_ylabel(f"power to find {plan.margin:g} {UNITS.get(plan.measure, '')}".rstrip())
    pair_s = count_pair_s(plan)
    if pair_s > 0:
        above = axes.twiny()
        above.set_xscale("log")
        above.set_xlim(axes.get_xlim())
        above.xaxis.set_minor_locator(NullLocator())
        unit, unit_s = choose_unit(pair_s * shown[-1])
        above.set_xticks(shown, [f"{float(f'{count * pair_s / unit_s:.2g}'):g}" for count in shown])
        above.set_xlabel(f"{unit} of training, both arms, one by one")
        above.spines["top"].set_visible(True)
    figure.tight_layout()
    return figure


TICKS = (2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Replicas that are written at the axis."""


def choose_unit(longest_s: float) -> tuple[str, float]:
    """Return the largest unit of time of which the longest training takes two or more, and its seconds."""
    return next((one for one in UNITS_S.items() if longest_s >= 2 * one[1]), ("seconds", 1.0))


def count_pair_s(plan: PowerPlan) -> float:
    """Return what a replica of both arms takes to train, in seconds; 0 where nobody knows."""
    return sum(plan.seconds) * (2 if len(plan.seconds) == 1 else 1)
