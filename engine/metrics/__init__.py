"""Diversity measures between replicas, and comparisons of arms, from stored predictions alone (numpy, scipy).

They are loaded when they are first asked for: the process that measures decides before how many threads numpy has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.metrics.comparison import Comparison, compare_replicas
    from engine.metrics.measures import Diversity, diversity

__all__ = ["Comparison", "Diversity", "compare_replicas", "diversity"]


def __getattr__(name: str) -> Any:
    """Load a name of the package.

    Raises:
        AttributeError: If it has none of this name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from engine.metrics import comparison, measures  # noqa: PLC0415 - loads numpy

    return getattr(measures if hasattr(measures, name) else comparison, name)
