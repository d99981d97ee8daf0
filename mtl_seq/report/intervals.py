"""Bootstrap by user: the same resampled users for every model, so that differences are paired."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.functional import rank, ranked_auc

__all__ = ["RankedTarget", "group_sums", "resamples"]

FloatArray = NDArray[np.float64]


def resamples(groups: int, replicates: int, seed: int) -> Iterator[FloatArray]:
    """How often each group is drawn, one array of ``(groups,)`` per replicate."""
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = rng.integers(groups, size=groups)
        yield np.bincount(drawn, minlength=groups).astype(np.float64)


def group_sums(columns: FloatArray, group: NDArray[np.int64], groups: int) -> FloatArray:
    """Sums of ``(N, m)`` columns within groups, ``(groups, m)``."""
    return np.stack(
        [np.bincount(group, column, minlength=groups) for column in columns.T], axis=1
    ).astype(np.float64)


class RankedTarget:
    """Scores ranked once, whose AUC is wanted under many weightings of the groups.

    Args:
        score: ``(N,)`` scores.
        target: ``(N,)`` labels or probabilities.
        group: ``(N,)`` group of each row.
    """

    def __init__(self, score: FloatArray, target: FloatArray, group: NDArray[np.int64]) -> None:
        self._ranking = rank(torch.from_numpy(score.copy()))
        order = self._ranking.order
        self._target = torch.from_numpy(target.copy())[order]
        self._group = torch.from_numpy(group)[order]

    def auc(self, counts: Tensor) -> float:
        """AUC with each row counted as often as its group."""
        weight = counts[self._group]
        positive = weight * self._target
        return float(ranked_auc(self._ranking, positive, weight - positive))
