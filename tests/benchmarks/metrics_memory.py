"""All measures at the size of ImageNet's test set, from a mapped file: peak memory beside what is mapped, and time."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measurement import Measurement
from metrics_speed import measure_pair

from engine.metrics.__main__ import COMPUTE_ENVIRONMENT

REPLICAS, EXAMPLES, CLASSES = 20, 50_000, 1_000
BASELINE_PAIRS = 3
BUDGET_BYTES = 2**31

PROGRAM = """
import sys, time
import numpy as np
from engine.metrics import diversity
logits, labels = np.load(sys.argv[1], mmap_mode="r"), np.load(sys.argv[2])
started = time.perf_counter()
found = diversity(logits, labels)
assert not found.reasons, found.reasons
print(time.perf_counter() - started)
"""


def write_logits(folder: Path) -> tuple[Path, Path]:
    """Replicas that agree on about four examples in five, a replica at a time."""
    rng = np.random.default_rng(1)
    labels = rng.integers(CLASSES, size=EXAMPLES)
    common = rng.standard_normal((EXAMPLES, CLASSES), dtype=np.float32)
    common[np.arange(EXAMPLES), labels] += 4
    shape = (REPLICAS, EXAMPLES, CLASSES)
    logits = np.lib.format.open_memmap(folder / "logits.npy", mode="w+", dtype=np.float32, shape=shape)
    for replica in logits:
        replica[...] = common + np.float32(0.5) * rng.standard_normal((EXAMPLES, CLASSES), dtype=np.float32)
    logits.flush()
    np.save(folder / "labels.npy", labels)
    return folder / "logits.npy", folder / "labels.npy"


def measure_peak(*arguments: str) -> tuple[float, int]:
    """Seconds that the program says, and the most memory that was its own and no part of a file, in bytes."""
    command = [sys.executable, "-P", "-c", PROGRAM, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | COMPUTE_ENVIRONMENT)
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(
            peak, *(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0
        )
        time.sleep(0.02)
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{PROGRAM} ended with status {process.returncode}")
    return float(said), peak


def measure() -> Measurement:
    with tempfile.TemporaryDirectory() as name:
        logits_path, labels_path = write_logits(Path(name))
        ours_s, peak = measure_peak(str(logits_path), str(labels_path))
        logits, labels = np.load(logits_path, mmap_mode="r"), np.load(labels_path)
        pairs = list(itertools.combinations(range(REPLICAS), 2))
        started = time.perf_counter()
        for i, j in pairs[:: len(pairs) // BASELINE_PAIRS][:BASELINE_PAIRS]:
            measure_pair(logits[i], logits[j], labels)
        pair_s = (time.perf_counter() - started) / BASELINE_PAIRS
    whole = 4 * REPLICAS * EXAMPLES * CLASSES
    text = (
        f"R={REPLICAS}, N={EXAMPLES:,}, C={CLASSES:,}: peak {peak / 1e6:.0f} MB beside {whole / 1e6:.0f} MB of mapped "
        f"logits, {peak / whole:.2f}x; {ours_s:.0f} s; scipy and numpy {pair_s:.1f} s per pair, "
        f"{pair_s * len(pairs):.0f} s for {len(pairs)} pairs: 1/{pair_s * len(pairs) / ours_s:.0f}"
    )
    return Measurement(text, f"{BUDGET_BYTES / 2**30:.0f} GiB", peak <= BUDGET_BYTES)
