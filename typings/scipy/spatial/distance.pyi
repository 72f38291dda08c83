"""Matrices of distances."""

import numpy as np

def squareform(X: np.ndarray, force: str = ..., checks: bool = ...) -> np.ndarray: ...
