"""Diversity measures between replicas, from stored predictions alone (numpy, scipy)."""

from engine.metrics.measures import Diversity, diversity

__all__ = ["Diversity", "diversity"]
