"""The path to the GPU without one: training, trials and measures on tensors that say they are on cuda:0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.pretended_gpu.groups import GROUPS

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(torch.version.cuda is not None, reason="pretends a GPU to CPU builds of torch alone"),
]


@pytest.mark.parametrize("group", GROUPS)
def test_pretended_gpu_finds_no_fault(group: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.helpers.pretended_gpu", group],
        capture_output=True,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found.keys() == GROUPS[group].keys()
    assert {name: fault for name, fault in found.items() if fault is not None} == {}
