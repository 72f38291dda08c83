"""Diversity measures between replicas, from stored predictions alone (numpy, scipy)."""
