"""How well a score orders impressions, and which of several trade-offs are worth having."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["order_within", "pareto_front"]

FloatArray = NDArray[np.float64]


def order_within(score: FloatArray, label: FloatArray, group: NDArray[np.int64]) -> float:
    """AUC within groups, averaged over them by their number of rows (GAUC).

    Args:
        score: ``(N,)`` scores; only their order within a group matters.
        label: ``(N,)`` labels, 0 or 1.
        group: ``(N,)`` codes from 0; all 0 for plain AUC.

    Returns:
        The mean over groups with both labels; NaN where there is none.
    """
    rank = pd.Series(score).groupby(group).rank().to_numpy()
    rows = np.bincount(group)
    positive = np.bincount(group, label)
    both = (positive > 0) & (positive < rows)
    if not both.any():
        return float("nan")
    beaten = np.bincount(group, label * rank) - positive * (positive + 1) / 2
    auc = beaten[both] / (positive * (rows - positive))[both]
    return float(np.average(auc, weights=rows[both]))


def pareto_front(points: FloatArray) -> NDArray[np.bool_]:
    """Which points no other beats: ``(N, 2)`` -> ``(N,)``, both coordinates better when larger.

    A point is beaten by one that is at least as good in both and better in one; equal points stand
    side by side.
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
