"""Diversity measures between replicas, from stored predictions alone (numpy, scipy)."""

from .measures import Diversity, diversity

__all__ = ["Diversity", "diversity"]
