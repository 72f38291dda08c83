"""Memory that a step frees and the next one asks for: kept by the process, as workers do, or left to the C library.

Each is measured in processes of its own that take turns; what counts is the processor time of an epoch with its
evaluation, the pages that the system cleared for it, and the most memory that the process held.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jax_peer import Case, Own
from measurement import Measurement

from engine.training.allocator import keep_freed_memory
from engine.training.data.datasets import load_data
from engine.training.random.seeding import set_kernels, use_one_thread

CASES = {"mnist-cnn": 1, "resnet6": 1, "linear": 20, "hidden-fc": 20}
"""How many replicas are trained together of each preset: convolutions are trained alone."""
ROUNDS, EPOCHS = 3, 5
SLOWEST, LARGEST = 1.1, 1.25
"""Of what the same takes where the C library decides: time, which differs from process to process, and memory."""


@dataclass(frozen=True)
class Use:
    """What an epoch takes in one process."""

    used_s: float
    pages: float
    peak_mb: float


def use(preset: str, *, keep: bool) -> Use:
    """Train in this process."""
    if keep:
        keep_freed_memory()
    set_kernels("order", "fp32")
    use_one_thread()
    case = Case(preset, CASES[preset], shared=True)
    own = Own(case, load_data(case.recipes()[0].data, root=Path("/nonexistent"), search_path=()))
    own.train()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(EPOCHS):
        own.train()
    after = resource.getrusage(resource.RUSAGE_SELF)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Use(used_s / EPOCHS, (after.ru_minflt - before.ru_minflt) / EPOCHS, peak)


def _ask(preset: str, setting: str) -> Use:
    command = [sys.executable, __file__, preset, setting]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return Use(**json.loads(done.stdout))


def measure(presets: Sequence[str] = tuple(CASES)) -> Measurement:
    """Compare both for some presets."""
    lines = [f"{'preset':10} {'replicas':>8} {'kept':>8} {'default':>8} {'ratio':>6} {'pages':>14} {'peak':>12}"]
    within = True
    for preset in presets:
        kept, default = zip(*[(_ask(preset, "kept"), _ask(preset, "default")) for _ in range(ROUNDS)], strict=True)
        own, other = (min(one.used_s for one in uses) for uses in (kept, default))
        pages = [statistics.median(one.pages for one in uses) for uses in (kept, default)]
        peaks = [max(one.peak_mb for one in uses) for uses in (kept, default)]
        within = within and own / other <= SLOWEST and peaks[0] / peaks[1] <= LARGEST
        lines.append(
            f"{preset:10} {CASES[preset]:8} {1e3 * own:8.1f} {1e3 * other:8.1f} {own / other:6.2f}"
            f" {pages[0]:6.0f} {pages[1]:7.0f} {peaks[0]:5.0f} {peaks[1]:6.0f}"
        )
    head = "ms of the processor per epoch, pages cleared in it, peak in MB; memory kept, and as the C library does"
    return Measurement(
        "".join([head, *(f"\n    {line}" for line in lines)]), f"{SLOWEST}x the time, {LARGEST}x the memory", within
    )


if __name__ == "__main__":
    print(json.dumps(asdict(use(sys.argv[1], keep=sys.argv[2] == "kept"))))
