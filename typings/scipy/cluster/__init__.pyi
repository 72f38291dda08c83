"""Grouping of points."""
