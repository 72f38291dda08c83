"""The GPU strip, with functions in place of the driver's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tui.app import gpus

LOST = pynvml.NVML_ERROR_GPU_IS_LOST


@pytest.fixture(autouse=True)
def unopened() -> Iterator[None]:
    """The library is opened anew in each test, and by the tests that follow."""
    gpus._meters.cache_clear()
    yield
    gpus._meters.cache_clear()


def fail(code: int) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise pynvml.NVMLError(code)

    return function


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a driver with some GPUs in place of this machine's."""

    def replace(*, count: int = 2, gone: int | None = None, closed: int | None = None, **functions: Any) -> None:
        def open_handle(index: int) -> int:
            return fail(LOST)() if index == closed else index

        def rates(handle: int) -> Any:
            return fail(LOST)() if handle == gone else SimpleNamespace(gpu=97)

        usual = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: count,
            "nvmlDeviceGetHandleByIndex": open_handle,
            "nvmlDeviceGetUtilizationRates": rates,
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=12 * 2**30 + 2**28, total=80 * 2**30),
            "nvmlDeviceGetPowerUsage": lambda handle: 412_300,
        }
        for name, function in (usual | functions).items():
            monkeypatch.setattr(pynvml, name, function)

    return replace


@pytest.mark.parametrize(
    ("driver", "shown"),
    [
        ({}, [("gpu0", 97.0, "12.2/80 GB 412 W"), ("gpu1", 97.0, "12.2/80 GB 412 W")]),
        (
            {"count": 1, "nvmlDeviceGetPowerUsage": fail(pynvml.NVML_ERROR_NOT_SUPPORTED)},
            [("gpu0", 97.0, "12.2/80 GB")],
        ),
        ({"gone": 0}, [("gpu1", 97.0, "12.2/80 GB 412 W")]),
        ({"closed": 0}, [("gpu1", 97.0, "12.2/80 GB 412 W")]),
        ({"count": 0}, []),
        ({"nvmlInit": fail(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)}, []),
    ],
)
def test_strip_shows_what_the_driver_tells(
    library: Callable[..., None], driver: dict[str, Any], shown: list[tuple[str, float, str]]
) -> None:
    library(**driver)
    assert gpus.read_gpus() == shown
    assert gpus.read_gpus() == shown
