"""How the cost of a study grows with its replicas and slots: whole commands, from their start to their table.

Draws cost.svg, beside this file, as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from measurement import Measurement

from engine.catalog.arm_marks import find_colour
from engine.report.figures import METADATA, STYLE

REPLICAS = (1, 2, 5, 10, 20, 50, 100)
SLOTS = (1, 2)
SECONDS = (5, 10, 20, 50, 100)
"""Marks of the picture."""
PICTURE = Path(__file__).parent / "cost.svg"
PROGRAM = [sys.executable, "-P", "-c", "import sys, tui.cli; sys.exit(tui.cli.main())"]
MOST_SHARE = 0.7
"""Share of the time on one slot that two slots may take for the most replicas."""

HEAD = """
[protocol]
name = "cost"
[dispatch]
devices = "cpu"
keep_weights = false
{dispatch}
[metrics]
bootstrap = 0
[[arm]]
name = "init"
vary = ["init"]
"""


@dataclass(frozen=True)
class Case:
    name: str
    text: str


CASES = (
    Case(
        "resnet6 on digits, 10 epochs, one by one",
        HEAD.format(dispatch="")
        + '[data]\npreset = "digits"\n[model]\npreset = "resnet6"\nwidth = 0.5\n'
        + "[train]\nepochs = 10\nbatch_size = 100\nwarmup_epochs = 1\n",
    ),
    Case(
        "linear on CIFAR-shaped data, 4 epochs, packs of up to 50",
        HEAD.format(dispatch="pack = {pack}")
        + '[data]\npreset = "synthetic"\n[model]\npreset = "linear"\n'
        + "[train]\nepochs = 4\nwarmup_epochs = 1\n",
    ),
)


def time_study(case: Case, replicas: int, slots: int) -> float:
    """Seconds of a whole command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cost.toml"
        file.write_text(case.text.replace("{pack}", str(min(50, -(-replicas // slots)))))
        command = [*PROGRAM, "--batch", str(file), "--store", str(Path(folder) / "studies")]
        settings = ["--replicas", str(replicas), "--slots", str(slots)]
        started = time.perf_counter()
        environment = dict(os.environ) | {"NONDET_LEASES": str(Path(folder) / "leases")}
        subprocess.run([*command, *settings], check=True, capture_output=True, env=environment)
        return time.perf_counter() - started


def draw(taken: dict[tuple[str, int], list[float]]) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 4.0), layout="constrained")
        axes = figure.subplots()
        for number, ((name, slots), seconds) in enumerate(taken.items()):
            style = "-" if slots == max(SLOTS) else "--"
            label = f"{name}: {slots} {'slot' if slots == 1 else 'slots'}"
            colour = find_colour(number // len(SLOTS))
            axes.plot(REPLICAS, seconds, style, marker="o", ms=3, color=colour, label=label)
        axes.set(xscale="log", yscale="log", xlabel="replicas", ylabel="seconds, start to table")
        axes.set_xticks(REPLICAS, [str(count) for count in REPLICAS])
        axes.set_yticks(SECONDS, [str(second) for second in SECONDS])
        axes.minorticks_off()
        figure.legend(loc="outside lower center", fontsize=7)
        figure.savefig(PICTURE, metadata=METADATA["svg"])


def measure() -> Measurement:
    taken = {
        (case.name, slots): [time_study(case, replicas, slots) for replicas in REPLICAS]
        for case in CASES
        for slots in SLOTS
    }
    draw(taken)
    lines = [f"\n    {'replicas':>66}" + "".join(f"{count:>8}" for count in REPLICAS)]
    for (name, slots), seconds in taken.items():
        title = f"{name}: {slots} {'slot' if slots == 1 else 'slots'}"
        lines.append(f"\n    {title:>66}" + "".join(f"{second:>8.1f}" for second in seconds))
    one, two = (taken[CASES[0].name, slots][-1] for slots in SLOTS)
    lines.append(f"\n    {REPLICAS[-1]} replicas of the first on two slots: {two / one:.2f} of the time on one")
    text = f"seconds from the start to the table:{''.join(lines)}"
    return Measurement(text, f"at most {MOST_SHARE:g} of one slot's time", two <= MOST_SHARE * one)
