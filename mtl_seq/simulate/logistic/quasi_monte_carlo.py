"""Points that fill a cube evenly, for integrals that draws would blur."""

from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["kronecker", "normal"]

FloatArray = NDArray[np.float64]

_QUANTILES = 1 << 14


def kronecker(first: int, count: int, dimensions: int) -> FloatArray:
    """Some points of a Kronecker sequence.

    The k-th point is ``(1/2 + k phi^-1, ..., 1/2 + k phi^-d) mod 1`` with phi the root above 1 of
    ``phi^(d+1) = phi + 1``: the generalisation of the golden ratio.

    Args:
        first: Index of the first point.
        count: N.
        dimensions: d.

    Returns:
        ``(d, N)`` in [0, 1).
    """
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    step = root ** -np.arange(1.0, dimensions + 1)
    index = np.arange(first, first + count, dtype=np.float64)
    found: FloatArray = (0.5 + step[:, None] * index) % 1.0
    return found


def normal(uniform: FloatArray) -> FloatArray:
    """Standard normal quantiles, to the midpoint of one of 16,384 equally likely intervals."""
    found: FloatArray = _quantiles()[(uniform * _QUANTILES).astype(np.int64)]
    return found


@cache
def _quantiles() -> FloatArray:
    inverse = NormalDist().inv_cdf
    found = np.array([inverse((k + 0.5) / _QUANTILES) for k in range(_QUANTILES)])
    found /= found.std()
    return found
