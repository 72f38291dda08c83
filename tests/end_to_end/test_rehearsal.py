"""The benchmark of GPUs, which few machines can run, does on a CPU what it does there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_packs.py"


@pytest.mark.timeout(300)
def test_gpu_benchmark_rehearses() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--rehearse"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for part in (
        "card: copy",
        "hours for a row",
        "100 repetitions of a packed step: 1 different",
        "profile of",
        "2 pro",
    ):
        assert part in done.stdout
