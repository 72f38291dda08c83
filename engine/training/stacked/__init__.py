"""Packs: many replicas of a network trained at once, their parameters stacked along a replica axis."""
