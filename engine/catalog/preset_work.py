"""States what the presets do with an image of three channels and 32 x 32 places, as it was counted.

`engine/training/trials/work.py` counts it, and a test counts again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.catalog.work import Work


def _count(train: tuple[float, float], step: tuple[float, float], test: tuple[float, float, float]) -> Work:
    """Return the work of a preset.

    Args:
        train: Millions of operations and megabytes for an image of a training step.
        step: Megabytes and kernels of a training step.
        test: Millions of operations, megabytes and kernels for an image of the test set.
    """
    return Work(
        train_flops=1e6 * train[0],
        train_bytes=1e6 * train[1],
        step_bytes=1e6 * step[0],
        test_flops=1e6 * test[0],
        test_bytes=1e6 * test[1],
        step_kernels=step[1],
        test_kernels=test[2],
    )


PRESET_WORK: Mapping[str, Mapping[str, Work]] = MappingProxyType(
    {
        "linear": {
            "fp32": _count((0.12288, 0.20321), (2.5117, 31), (0.06144, 0.10205, 0.014)),
            "bf16": _count((0.12288, 0.20941), (2.7576, 38), (0.06144, 0.1145, 0.018)),
        },
        "hidden-fc": {
            "fp32": _count((6.3222, 0.22578), (45.87, 37), (3.156, 0.11644, 0.016)),
            "bf16": _count((6.3222, 0.2207), (58.488, 48), (3.156, 0.13098, 0.022)),
        },
        "hidden-conv": {
            "fp32": _count((5.8982, 0.85861), (7.0498, 36), (2.7853, 0.36475, 0.016)),
            "bf16": _count((5.8982, 0.53711), (8.0623, 47), (2.7853, 0.24668, 0.022)),
        },
        "resnet6": {
            "fp32": _count((58.394, 5.9051), (1.9729, 78), (19.759, 2.4614, 0.037)),
            "bf16": _count((58.394, 3.0604), (2.0318, 95), (19.759, 1.294, 0.046)),
        },
        "resnet10": {
            "fp32": _count((107.94, 8.7726), (3.0235, 122), (36.275, 3.6085, 0.059)),
            "bf16": _count((107.94, 4.4941), (3.2769, 147), (36.275, 1.8678, 0.072)),
        },
        "resnet14": {
            "fp32": _count((157.49, 10.207), (7.1891, 166), (52.791, 4.1828, 0.081)),
            "bf16": _count((157.49, 5.2112), (8.2186, 199), (52.791, 2.1557, 0.098)),
        },
        "resnet18": {
            "fp32": _count((3291.2, 43.088), (353.81, 210), (1098.3, 17.615, 0.103)),
            "bf16": _count((3291.2, 21.652), (419.76, 251), (1098.3, 8.937, 0.124)),
        },
        "shufflenetv2-50": {
            "fp32": _count((113.33, 20.704), (13.029, 540), (21.804, 8.664, 0.268)),
            "bf16": _count((113.33, 10.46), (15.093, 659), (21.804, 4.3974, 0.328)),
        },
        "vgg11": {
            "fp32": _count((913.08, 10.429), (297.11, 108), (305.54, 4.2799, 0.052)),
            "bf16": _count((913.08, 5.5721), (352.47, 147), (305.54, 2.3836, 0.072)),
        },
    }
)
"""By preset and precision; TF32 moves the bytes of fp32."""
