"""What a resnet14's step on a GPU consists of, counted on a pretended one: launches, kernels, bytes, copies and waits.

A process of its own counts, since autograd makes its threads at the first backward pass of one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from measurement import Measurement

ROOT = Path(__file__).parents[2]

COUNT = """
import json, torch
from unittest.mock import patch
torch.set_num_threads(1)
from tests.helpers.pretended_gpu.cuda import install
install()
from engine.training.recording import repeater
from tests.helpers.pretended_gpu.cases import make_recipe
from tests.helpers.pretended_gpu.side_by_side import STEPS, count_epoch
with patch.object(repeater, "WARM_UP_STEPS", 1):
    for graphs in (False, True):
        found, _ = count_epoch(make_recipe("resnet14"), 1, graphs=graphs, size=32)
        print(json.dumps({"launches": found.launches / STEPS, "kernels": found.kernels / STEPS,
            "bytes": found.bytes / (64 * STEPS - 10), "copies": found.copies, "waits": found.waits.total()}))
"""


def measure() -> Measurement:
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
    )
    by_hand, recorded = (json.loads(line) for line in done.stdout.splitlines())
    text = ", ".join(
        f"{name}: {one['launches']:.1f} launches and {one['kernels']:.1f} kernels a step, "
        f"{one['bytes'] / 1e6:.2f} MB an image of width 0.25, {one['copies']} copy and {one['waits']} wait an epoch"
        for name, one in (("kernel by kernel", by_hand), ("recorded", recorded))
    )
    within = recorded["launches"] < by_hand["launches"] / 10 and recorded["copies"] == recorded["waits"] == 1
    return Measurement(f"resnet14 step, {text}", "a tenth of the launches; one copy and one wait an epoch", within)
