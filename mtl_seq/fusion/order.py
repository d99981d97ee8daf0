"""Grouped AUC of a score, and the Pareto front of trade-offs."""

import numpy as np
from numpy.typing import NDArray

from mtl_seq.functional import grouped_auc

__all__ = ["order_within", "pareto_front"]

FloatArray = NDArray[np.float64]


def order_within(score: FloatArray, label: FloatArray, group: NDArray[np.int64]) -> float:
    """AUC within groups, averaged over them by their number of rows (GAUC).

    Args:
        score: ``(N,)`` scores; only their order within a group matters.
        label: ``(N,)`` labels, 0 or 1.
        group: ``(N,)`` codes from 0; all 0 for plain AUC.

    Returns:
        The mean over groups with both labels; NaN if there is none.
    """
    return float(grouped_auc(score, label, group).value)


def pareto_front(points: FloatArray) -> NDArray[np.bool_]:
    """The points that no other dominates: ``(N, 2)`` -> ``(N,)``; larger coordinates are better.

    A point is dominated by one that is at least as good in both coordinates and better in one.
    Equal points do not dominate each other.
    """
    order = np.lexsort((-points[:, 1], -points[:, 0]))
    best, kept = -np.inf, np.zeros(len(points), dtype=bool)
    last: tuple[float, float] | None = None
    for row in order:
        point = (float(points[row, 0]), float(points[row, 1]))
        if point[1] > best or point == last:
            kept[row] = True
            best, last = max(best, point[1]), point
    return kept
