"""Finds where two runs part: both are trained again side by side, and the step in which they part once more."""
