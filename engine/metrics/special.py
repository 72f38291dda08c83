"""Functions of scipy.special, which is loaded with the first call of one.

Loading it takes as long as the rest of a process that measures, and where no run is new nothing is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy.special import betaincinv, chdtri, expit, fdtr, fdtrc, fdtri, nctdtr, ndtri, stdtr, stdtrit

__all__ = ["betaincinv", "chdtri", "expit", "fdtr", "fdtrc", "fdtri", "nctdtr", "ndtri", "stdtr", "stdtrit"]


def __getattr__(name: str) -> Any:
    """Return a function that is used for the first time.

    Raises:
        AttributeError: If it is none of those that are used here.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    found = globals()[name] = getattr(import_module("scipy.special"), name)
    return found
