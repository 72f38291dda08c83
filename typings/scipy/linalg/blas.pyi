"""Functions of BLAS."""

import numpy as np

def dsyrk(alpha: float, a: np.ndarray, *, beta: float, c: np.ndarray, trans: int, overwrite_c: int) -> np.ndarray: ...
