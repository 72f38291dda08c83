"""Correlations and distributions, which the tests compare with."""

from typing import Any

import numpy as np

class StudentT:
    def ppf(self, q: float, df: int) -> float: ...

t: StudentT

def spearmanr(a: np.ndarray, b: np.ndarray) -> Any: ...
def pearsonr(x: np.ndarray, y: np.ndarray) -> Any: ...
