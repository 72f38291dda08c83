"""`make bench`: what the budgets say, as ratios against a baseline measured in the same run.

Name benchmarks on the command line to run those alone. Nothing else should run on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import app_answers
import app_speed
import cka
import comparison
import cost
import freed_memory
import input_pipeline
import jax_peer
import language_baselines
import memory
import metrics_memory
import metrics_speed
import pack_validity
import packs
import queued_runs
import recurrence
import scale
import small_resnet
import step_counts
import step_floor
import step_share
import traced_step
import worker_overhead
from measurement import Measurement

BENCHMARKS: dict[str, Callable[[], Measurement]] = {
    "metrics_speed": metrics_speed.measure,
    "metrics_memory": metrics_memory.measure,
    "compare_speed": comparison.measure_speed,
    "compare_memory": comparison.measure_memory,
    "input_pipeline": input_pipeline.measure,
    "worker_overhead": worker_overhead.measure,
    "traced_step": traced_step.measure,
    "step_counts": step_counts.measure,
    "memory": memory.measure,
    "freed_memory": freed_memory.measure,
    "recurrence": recurrence.measure,
    "cka": cka.measure,
    "language_baselines": language_baselines.measure,
    "app_speed": app_speed.measure,
    "app_answers": app_answers.measure,
    "scale": scale.measure,
    "queued_runs": queued_runs.measure,
    "small_resnet": small_resnet.measure,
    "cost": cost.measure,
    "pack_validity": pack_validity.measure,
    "packs_linear": packs.measure_linear,
    "packs_hidden_fc": packs.measure_hidden_fc,
    "jax_peer": jax_peer.measure,
    "step_share": step_share.measure,
    "step_floor": step_floor.measure,
}


def main() -> int:
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    over = 0
    for name in names:
        measurement = BENCHMARKS[name]()
        verdict = {None: "not judged", True: "within", False: "OVER"}[measurement.within]
        over += measurement.within is False
        print(f"{name}: {measurement.text}\n    budget {measurement.budget}: {verdict}", flush=True)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
