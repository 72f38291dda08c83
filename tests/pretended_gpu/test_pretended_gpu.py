"""The path to the GPU without one: training, trials and measures on tensors that say they are on cuda:0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from run_pretended_checks import GROUPS

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(torch.version.cuda is not None, reason="pretends a GPU to CPU builds of torch alone")


@pytest.mark.parametrize("group", GROUPS)
def test_pretended_gpu_finds_no_fault(group: str) -> None:
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    done = subprocess.run(
        [sys.executable, "-P", str(HERE / "run_pretended_checks.py"), group],
        capture_output=True,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found.keys() == GROUPS[group].keys()
    assert {name: fault for name, fault in found.items() if fault is not None} == {}
