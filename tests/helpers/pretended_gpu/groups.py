"""The checks on a pretended GPU by group; each group takes a process of its own."""

from __future__ import annotations

from tests.helpers.pretended_gpu.benchmark import BENCHMARK
from tests.helpers.pretended_gpu.cases import Checks
from tests.helpers.pretended_gpu.faults import FAULTS
from tests.helpers.pretended_gpu.images import ALONE, OWN, PACKS, VARIANTS
from tests.helpers.pretended_gpu.rest import REST
from tests.helpers.pretended_gpu.text import TEXT

GROUPS: dict[str, Checks] = {
    "images-alone": ALONE,
    "images-in-packs": PACKS,
    "packs-otherwise": {**VARIANTS, **OWN},
    "rest": {**TEXT, **REST},
    "benchmark": BENCHMARK,
    "planted-faults": FAULTS,
}
