"""Says what a plan would take on a card that is not there: `check --card H100`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.catalog.work import GPUS, GpuModel, find_gpu
from engine.errors import NondetError
from engine.plan.plan import Plan
from engine.tuning.estimates import estimate_runs
from engine.tuning.probe import ProbeFacts
from tui.text.format import format_seconds


def require_gpu(name: str) -> GpuModel:
    """Return the card of a name.

    Raises:
        NondetError: If nothing is known of it.
    """
    gpu = find_gpu(name)
    if gpu is None:
        known = ", ".join(one.name for one in GPUS)
        raise NondetError(f"--card {name}: nothing is known of this card; known are {known}")
    return gpu


def describe_card(plan: Plan, facts: Sequence[ProbeFacts], runs: Collection[str], gpu: GpuModel) -> list[str]:
    """Return the line that says what some runs would take on one card, as an estimate; or that none is left.

    Args:
        plan: Has the recipes.
        facts: With what was counted of each network.
        runs: Which runs are to be trained.
        gpu: The card.
    """
    if not runs:
        return [f"on one {gpu.name}: nothing is left to train"]
    precisions = {plan.recipes[run].train.precision for run in runs}
    lacking = [precision for precision in precisions if not gpu.computes(precision)]
    if lacking:
        return [f"on one {gpu.name}: it does not compute in {lacking[0]}"]
    counted = {
        run: (fact.work, fact.train_examples, fact.test_examples)
        for fact in facts
        if fact.work is not None
        for run in fact.runs
    }
    estimate = estimate_runs(plan, counted, runs, gpu)
    if estimate is None:
        return [
            f"on one {gpu.name}: not estimated: networks for text, and those that cannot be followed, are not counted"
        ]
    about, least, most = map(format_seconds, (estimate.middle, estimate.least, estimate.most))
    return [
        f"on one {gpu.name}: about {about} (from {least} to {most}) and {gpu.use_kwh(estimate.middle):.2g} kWh, "
        "estimated from its data sheet, not timed; docs/gpu.md says how"
    ]
