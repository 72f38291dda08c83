"""The parts of `make bench-gpu` on a pretended GPU, as far as they are one process and need no compiler."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from engine.recipe import ModelRecipe
from tests.helpers.pretended_gpu.cases import Checks, make_images
from tests.helpers.pretended_gpu.cuda import pretend_cuda
from tests.helpers.pretended_gpu.device import CUDA

FOLDER = Path(__file__).parents[2] / "benchmarks"

NAMES = ("card", "fp32", "bf16", "determinism", "kernels-1", "packs")


def measure(part: str) -> list[dict[str, Any]]:
    """The records of a part on small images."""
    sys.path.insert(0, str(FOLDER))
    gpu_parts = importlib.import_module("gpu_parts")  # it is in no package
    properties = SimpleNamespace(total_memory=2**30)
    memory = {"max_memory_allocated": lambda: 2**20, "reset_peak_memory_stats": lambda: None}
    with pretend_cuda(), patch.multiple(torch.cuda, **memory, get_device_properties=lambda _: properties):
        data = make_images().to(CUDA)
        bench = gpu_parts.Bench(CUDA, data, ModelRecipe(preset="linear"), 4, (2,), 0.01, 3, True)
        return list(gpu_parts.MEASURES[part](bench))


def check_part(part: str) -> None:
    """A part is measured, recorded steps included, and says nothing that is wrong."""
    records = measure(part)
    kinds = {record["kind"] for record in records}
    designs = [record for record in records if record["kind"] == "design"]
    assert all("row_hours" in record for record in designs), records
    match part:
        case "card":
            assert kinds == {"card", "work"}, records
        case "fp32" | "bf16":
            names = [record["design"] for record in designs]
            assert names == ["eager", "recorded", "2 side by side", "4 side by side"], records
        case "determinism":
            assert all(record["different"] == 1 for record in records if record["kind"] == "determinism"), records
            assert records[-1]["same"], records
        case "kernels-1":
            assert len(records[0]["digests"]) == 1, records
        case _:
            assert len(designs) == 4, records


BENCHMARK: Checks = {part: partial(check_part, part) for part in NAMES}
