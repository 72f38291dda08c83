"""Reads what often makes two runs differ: numbers of threads and workers, flags, seeds."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from numbers import Integral
from typing import Any

import torch
from torch.utils import data

from .records import Loader, Settings
from .seeds import find_place

MOST = 20
"""Loaders that are kept."""


class LoaderWatch:
    """Writes down how a program makes its loaders."""

    def __init__(self, *, fixed: bool) -> None:
        """Begin with none.

        Args:
            fixed: Whether every loader gets no workers.
        """
        self.seen: list[Loader] = []
        self._fixed = fixed

    def attach(self) -> None:
        """Put `DataLoader` behind a function that writes down its arguments."""
        plain = data.DataLoader.__init__
        signature = inspect.signature(plain)

        @functools.wraps(plain)
        def watched(*args: Any, **kwargs: Any) -> None:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:  # what is given does not fit: the plain function says so
                given = {}
            if given and len(self.seen) < MOST:
                workers = given.get("num_workers", 0)
                count = int(workers) if isinstance(workers, Integral) else 0  # the plain function says what is wrong
                self.seen.append(Loader(find_place(sys._getframe(1)), count))
            if self._fixed and given.get("num_workers"):
                given = dict(given, num_workers=0)
                for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context", "timeout"):
                    given.pop(name, None)
                loader = given.pop("self")
                plain(loader, **given)
            else:
                plain(*args, **kwargs)

        data.DataLoader.__init__ = watched  # type: ignore[method-assign]


def read_settings() -> Settings:
    """Return settings of torch and of the process as they are now."""
    return {
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        "default dtype": str(torch.get_default_dtype()),
        "CUDA": torch.cuda.is_initialized(),
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", ""),
        "CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""),
    }


def fix_threads() -> None:
    """Compute with one thread, whatever the program asks for later."""
    torch.set_num_threads(1)
    torch.set_num_threads = lambda _count: None


def fix_kernels() -> None:
    """Use deterministic algorithms only, where there are any."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
