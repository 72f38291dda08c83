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
            "fp32": _count((0.12288, 0.20321), (2.5117, 28), (0.06144, 0.10305, 0.025)),
            "bf16": _count((0.12288, 0.20941), (2.7576, 35), (0.06144, 0.1155, 0.029)),
        },
        "hidden-fc": {
            "fp32": _count((6.3222, 0.22578), (45.87, 34), (3.156, 0.11743, 0.027)),
            "bf16": _count((6.3222, 0.2207), (58.488, 45), (3.156, 0.13198, 0.033)),
        },
        "hidden-conv": {
            "fp32": _count((5.8982, 0.85861), (7.0498, 33), (2.7853, 0.36574, 0.027)),
            "bf16": _count((5.8982, 0.53711), (8.0623, 44), (2.7853, 0.2476, 0.033)),
        },
        "resnet6": {
            "fp32": _count((58.394, 5.9051), (1.9729, 75), (19.759, 2.4624, 0.048)),
            "bf16": _count((58.394, 3.0604), (2.0318, 92), (19.759, 1.2951, 0.057)),
        },
        "resnet10": {
            "fp32": _count((107.94, 8.7726), (3.0235, 119), (36.275, 3.6096, 0.07)),
            "bf16": _count((107.94, 4.4941), (3.2769, 144), (36.275, 1.8688, 0.083)),
        },
        "resnet14": {
            "fp32": _count((157.49, 10.207), (7.1891, 163), (52.791, 4.1838, 0.092)),
            "bf16": _count((157.49, 5.2112), (8.2186, 196), (52.791, 2.1567, 0.109)),
        },
        "resnet18": {
            "fp32": _count((3291.2, 43.088), (353.81, 207), (1098.3, 17.616, 0.114)),
            "bf16": _count((3291.2, 21.652), (419.76, 248), (1098.3, 8.938, 0.135)),
        },
        "shufflenetv2-50": {
            "fp32": _count((64.085, 20.704), (13.029, 537), (21.804, 8.665, 0.279)),
            "bf16": _count((64.085, 10.46), (15.093, 656), (21.804, 4.3984, 0.339)),
        },
        "vgg11": {
            "fp32": _count((913.08, 10.429), (297.11, 105), (305.54, 4.2809, 0.063)),
            "bf16": _count((913.08, 5.5721), (352.47, 144), (305.54, 2.3846, 0.083)),
        },
    }
)
"""By preset and precision; TF32 moves the bytes of fp32."""
