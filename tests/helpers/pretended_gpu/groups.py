"""The checks on a pretended GPU by group; each group takes a process of its own."""

from __future__ import annotations

from tests.helpers.pretended_gpu.benchmark import BENCHMARK
from tests.helpers.pretended_gpu.cases import Checks
from tests.helpers.pretended_gpu.compiled import COMPILED
from tests.helpers.pretended_gpu.faults import FAULTS
from tests.helpers.pretended_gpu.images import ALONE, OWN, PACKS, VARIANTS
from tests.helpers.pretended_gpu.recording_faults import RECORDING_FAULTS
from tests.helpers.pretended_gpu.rest import REST
from tests.helpers.pretended_gpu.side_by_side import PRESETS, SIDE_BY_SIDE
from tests.helpers.pretended_gpu.text import TEXT
from tests.helpers.pretended_gpu.text_faults import TEXT_FAULTS
from tests.helpers.pretended_gpu.text_side_by_side import TEXT_SIDE_BY_SIDE


def name_checks(part: str, checks: Checks) -> Checks:
    """Put a word in front of the names of checks, so that they stand beside others."""
    return {f"{part} {name}": check for name, check in checks.items()}


GROUPS: dict[str, Checks] = {
    "images": {**name_checks("alone", ALONE), **PACKS},
    "packs-otherwise": {**VARIANTS, **OWN},
    "rest": {**TEXT, **REST, **name_checks("benchmark", BENCHMARK)},
    "presets-side-by-side": PRESETS,
    "side-by-side": SIDE_BY_SIDE,
    "text-and-compiled-side-by-side": {**TEXT_SIDE_BY_SIDE, **COMPILED},
    "planted-faults": {**TEXT_FAULTS, **FAULTS},
    "planted-recording-faults": RECORDING_FAULTS,
}
"""Few, as each process takes seconds to import torch, and of about the same length."""
