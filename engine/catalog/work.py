"""States what training takes: arithmetic and traffic of a network, what a GPU can do of both, and the time from these.

Time is estimated from a roofline. What a network does is counted; what a card can do is in its data sheet; which share
of that it reaches is an assumption, which `tests/benchmarks/gpu.py` replaces by measurements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

REACHED_BANDWIDTH = 0.8
"""Assumed share of a data sheet's bandwidth that kernels reach."""

REACHED_ARITHMETIC: Mapping[str, float] = MappingProxyType({"fp32": 0.5, "tf32": 0.25, "bf16": 0.25})
"""Assumed share of a data sheet's operations that convolutions of few channels reach."""


KERNEL_S = 2.5e-6
"""Assumed least time of a kernel, however little it does, where a whole step is launched at once."""

SIDE_BY_SIDE = 4
"""Runs whose kernels may work at the same time on one card."""

ROW_EPOCHS = 100 * 500
"""Of a row of Table 1: 100 replicas of 500 epochs."""

COUNTED_AS: Mapping[str, str] = MappingProxyType({"fp32": "fp32", "tf32": "fp32", "bf16": "bf16"})
"""In which precision the work of each was counted: TF32 moves the bytes of fp32."""

KWH_J = 3.6e6
"""Joules of a kilowatt-hour."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Adds up what a training takes of a card."""

    flops: float = 0.0
    """Operations."""
    moved: float = 0.0
    """Bytes read and written."""
    kernels: float = 0.0

    def plus(self, other: Load, times: float = 1.0) -> Load:
        """Return this load and another one, which may come several times."""
        return Load(
            flops=self.flops + times * other.flops,
            moved=self.moved + times * other.moved,
            kernels=self.kernels + times * other.kernels,
        )


@dataclass(frozen=True, kw_only=True)
class Work:
    """Counts what a network does in one precision, if every operation reads its inputs and writes its outputs once."""

    train_flops: float
    """Operations for one image of a training step: forward, and both gradients."""
    train_bytes: float
    """Traffic with memory for one image of a training step."""
    step_bytes: float
    """Traffic of a training step whatever its size: weights, gradients, the optimiser's state."""
    test_flops: float
    """Operations for one image of the test set."""
    test_bytes: float
    step_kernels: float
    """Kernels of a training step, however large it is; the optimiser counts as one."""
    test_kernels: float
    """Kernels for one image of the test set: a share of those of its batch."""

    def epoch(self, train_examples: int, test_examples: int, batch_size: int) -> Load:
        """Return what an epoch with its evaluation takes."""
        steps = math.ceil(train_examples / batch_size)
        return Load(
            flops=self.train_flops * train_examples + self.test_flops * test_examples,
            moved=self.train_bytes * train_examples + self.step_bytes * steps + self.test_bytes * test_examples,
            kernels=self.step_kernels * steps + self.test_kernels * test_examples,
        )


MAKERS = frozenset({"NVIDIA", "TESLA", "GEFORCE"})
"""Words that drivers put before the name of a card."""


@dataclass(frozen=True, kw_only=True)
class GpuModel:
    """Repeats the data sheet of a GPU: dense figures, without sparsity."""

    name: str
    bandwidth: float
    """Bytes a second."""
    flops: Mapping[str, float]
    """Operations a second by precision; one that is missing is computed as fp32, or for bf16 not at all."""
    watts: float
    source: str
    forms: str = ""
    """Words that a driver may add to the name of this very card; with others it means a smaller one, or a part."""

    def is_called(self, words: Set[str]) -> bool:
        """Tell whether words, in capitals, are the name of this card, its maker's and its forms aside."""
        name = set(self.name.upper().split())
        return name <= words <= name | MAKERS | set(self.forms.split())

    def use_kwh(self, seconds: float) -> float:
        """Return the energy that its whole board may take in some time."""
        return self.watts * seconds / KWH_J

    def computes(self, precision: str) -> bool:
        """Tell whether it computes in a precision: bf16 needs units for it, TF32 falls back to fp32."""
        return precision != "bf16" or precision in self.flops

    def reach(self, precision: str) -> float:
        """Return the operations a second that are assumed to be reached in a precision."""
        usable = {"fp32", precision} if precision == "tf32" else {precision}
        return max(self.flops[name] * REACHED_ARITHMETIC[name] for name in usable if name in self.flops)


def _tera(**flops: float) -> Mapping[str, float]:
    return MappingProxyType({precision: 1e12 * value for precision, value in flops.items()})


GPUS: tuple[GpuModel, ...] = (
    GpuModel(
        name="V100",
        bandwidth=0.9e12,
        flops=_tera(fp32=15.7),
        watts=300,
        source="NVIDIA V100 data sheet (SXM2)",
        forms="SXM2 16GB 32GB",
    ),
    GpuModel(
        name="A100",
        bandwidth=2.039e12,
        flops=_tera(fp32=19.5, tf32=156, bf16=312),
        watts=400,
        source="NVIDIA A100 data sheet (SXM, 80 GB)",
        forms="SXM SXM4 80GB",
    ),
    GpuModel(
        name="H100",
        bandwidth=3.35e12,
        flops=_tera(fp32=67, tf32=494.7, bf16=989.4),
        watts=700,
        source="NVIDIA H100 data sheet (SXM)",
        forms="SXM SXM5 80GB HBM3",
    ),
    GpuModel(
        name="H100 PCIe",
        bandwidth=2.0e12,
        flops=_tera(fp32=51, tf32=378, bf16=756),
        watts=350,
        source="NVIDIA H100 data sheet (PCIe)",
        forms="80GB",
    ),
    GpuModel(
        name="H200",
        bandwidth=4.8e12,
        flops=_tera(fp32=67, tf32=494.7, bf16=989.4),
        watts=700,
        source="NVIDIA H200 data sheet (SXM)",
        forms="SXM 141GB HBM3E",
    ),
    GpuModel(
        name="L40S",
        bandwidth=0.864e12,
        flops=_tera(fp32=91.6, tf32=183, bf16=362),
        watts=350,
        source="NVIDIA L40S data sheet",
        forms="48GB",
    ),
    GpuModel(
        name="RTX 4090",
        bandwidth=1.008e12,
        flops=_tera(fp32=82.6, tf32=82.6, bf16=165.2),
        watts=450,
        source="NVIDIA Ada GPU architecture white paper, appendix A",
        forms="24GB",
    ),
)
"""Cards that times are estimated for."""


def find_gpu(name: str) -> GpuModel | None:
    """Return the card that a text names, such as what a driver calls it; None where that very card is not known."""
    words = set(name.upper().replace("-", " ").split())
    return next((gpu for gpu in GPUS if gpu.is_called(words)), None)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bounds a time in seconds."""

    least: float
    """If memory and arithmetic never wait for each other, and small kernels of several runs work at the same time."""
    most: float
    """If one always waits for the other."""

    @property
    def middle(self) -> float:
        """Return the geometric mean of both."""
        return math.sqrt(self.least * self.most)

    def times(self, factor: float) -> Estimate:
        """Return the bounds of that many of what this one bounds."""
        return Estimate(least=self.least * factor, most=self.most * factor)


def estimate_s(load: Load, gpu: GpuModel, precision: str) -> Estimate:
    """Estimate the seconds that a load takes on a card in a precision: fp32, tf32 or bf16."""
    computing = load.flops / gpu.reach(precision)
    moving = load.moved / (gpu.bandwidth * REACHED_BANDWIDTH)
    launching = load.kernels * KERNEL_S
    return Estimate(least=max(computing, moving, launching / SIDE_BY_SIDE), most=computing + moving + launching)
