"""The GPU strip, with a library in place of the driver's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui.app import gpus


def make_library(*, count: int = 2, power: bool = True, gone: int | None = None) -> Any:
    def power_usage(handle: int) -> int:
        if not power:
            raise RuntimeError("not supported")
        return 412_300

    def rates(handle: int) -> Any:
        if handle == gone:
            raise RuntimeError("GPU is lost")
        return SimpleNamespace(gpu=97)

    return SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUtilizationRates=rates,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=12 * 2**30 + 2**28, total=80 * 2**30),
        nvmlDeviceGetPowerUsage=power_usage,
    )


@pytest.mark.parametrize(
    ("library", "shown"),
    [
        (make_library(), ["gpu0  97 % 12.2/80 GB 412 W", "gpu1  97 % 12.2/80 GB 412 W"]),
        (make_library(count=1, power=False), ["gpu0  97 % 12.2/80 GB"]),
        (make_library(gone=0), ["gpu1  97 % 12.2/80 GB 412 W"]),
        (make_library(count=0), []),
        (None, []),
    ],
)
def test_strip_shows_what_the_driver_tells(library: Any, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> Any:
        if library is None:
            raise ImportError(name)
        return library

    monkeypatch.setattr(gpus, "_NVML", {})
    monkeypatch.setattr(gpus.importlib, "import_module", import_module)
    assert gpus.describe_gpus() == shown
    assert gpus.describe_gpus() == shown
