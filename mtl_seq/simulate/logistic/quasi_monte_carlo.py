"""Low-discrepancy points for quasi-Monte Carlo integration."""

from functools import cache

import numpy as np
from scipy.special import ndtri

from mtl_seq.records import FloatArray

__all__ = ["kronecker_points", "normal_quantiles"]

_QUANTILES = 1 << 14


def kronecker_points(first: int, count: int, dimensions: int) -> FloatArray:
    """Consecutive points of a Kronecker sequence, ``(d, N)`` in [0, 1), from index `first` on.

    The k-th point is ``(1/2 + k phi^-1, ..., 1/2 + k phi^-d) mod 1`` with phi the root above 1 of
    ``phi^(d+1) = phi + 1``: the generalisation of the golden ratio.
    """
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    step = root ** -np.arange(1.0, dimensions + 1)
    index = np.arange(first, first + count, dtype=np.float64)
    points: FloatArray = (0.5 + step[:, None] * index) % 1.0
    return points


def normal_quantiles(uniform: FloatArray) -> FloatArray:
    """Standard normal quantiles, to the midpoint of one of 16,384 equally likely intervals."""
    quantiles: FloatArray = _quantile_table()[(uniform * _QUANTILES).astype(np.int64)]
    return quantiles


@cache
def _quantile_table() -> FloatArray:
    table: FloatArray = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    table /= table.std()
    return table
