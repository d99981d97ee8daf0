"""Bootstrap of users, paired over models."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from mtl_seq.records import FloatArray

__all__ = [
    *("LEVEL", "CellSums", "RankedTarget", "Sampling", "cell_sums", "drawn_counts", "group_sums"),
    *("percentiles", "ratio", "resampled_sums", "resamples"),
]

IntArray = NDArray[np.int64]

LEVEL = 0.9
"""Confidence level of the intervals."""

_BINS = 2**14
_RUN = 4096
"""Rows that are summed in float32; sums of runs are in float64."""

_BLOCK = 50
"""Replicates per block, so that the counts of a user fill few cache lines."""


def resamples(groups: int, replicates: int, seed: int) -> Iterator[FloatArray]:
    """How often each group is drawn, one array of ``(groups,)`` per replicate."""
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = rng.integers(groups, size=groups)
        yield np.bincount(drawn, minlength=groups).astype(np.float64)


def drawn_counts(groups: int, replicates: int, seed: int) -> list[Tensor]:
    """The counts of `resamples`, a row a group, in blocks of ``(groups, 50)`` replicates or fewer.

    One byte holds a count: of fewer than 256 groups no count is greater, and of more none ever is
    (it would be drawn once in 10^500 resamples).
    """
    every = resamples(groups, replicates, seed)
    return [
        torch.from_numpy(np.stack(block, axis=1))
        for block in _batched((counts.astype(np.uint8) for counts in every), _BLOCK)
    ]


def _batched(arrays: Iterable[NDArray[np.uint8]], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    remaining = iter(arrays)
    while block := list(islice(remaining, size)):
        yield block


def group_sums(columns: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """Sums of ``(N, m)`` columns within groups, ``(groups, m)``."""
    return np.stack(
        [np.bincount(group, column, minlength=groups) for column in columns.T], axis=1
    ).astype(np.float64)


def resampled_sums(sums: FloatArray, counts: Sequence[Tensor]) -> FloatArray:
    """Sums over each resample, ``(R, m)``, from those of the groups, ``(groups, m)``."""
    by_group = torch.from_numpy(sums)
    return torch.cat([block.double().T @ by_group for block in counts]).numpy()


class Sampling(NamedTuple):
    """How intervals are drawn; equal values give equal draws.

    Attributes:
        group: ``(N,)`` codes of the user, from 0.
        replicates: Number of resamples of the users.
        seed: Seed of the resamples.
    """

    group: IntArray
    replicates: int
    seed: int


class CellSums(NamedTuple):
    """Sums of m columns in C cells.

    Attributes:
        total: ``(C, m)`` over the rows as they are.
        drawn: ``(R, C, m)`` over each resample of the users.
        users: ``(C,)`` number of users with a row in the cell.
    """

    total: FloatArray
    drawn: FloatArray
    users: IntArray


def cell_sums(columns: FloatArray, cell: IntArray, cells: int, sampling: Sampling) -> CellSums:
    """Sum ``(N, m)`` columns within cells; each user's rows are drawn together.

    Rows are in cells from 0; those of a negative cell are left out.
    """
    groups = int(sampling.group.max()) + 1
    kept = cell >= 0
    pairs, place = np.unique(cell[kept] * groups + sampling.group[kept], return_inverse=True)
    sums = group_sums(columns[kept], place, len(pairs))
    owner = pairs % groups
    edges = np.searchsorted(pairs // groups, np.arange(cells + 1))
    spans = [slice(low, high) for low, high in pairwise(edges)]
    drawn = np.empty((sampling.replicates, cells, columns.shape[1]))
    for row, counts in enumerate(resamples(groups, sampling.replicates, sampling.seed)):
        for index, span in enumerate(spans):
            drawn[row, index] = counts[owner[span]] @ sums[span]
    total = np.stack([sums[span].sum(0) for span in spans])
    return CellSums(total, drawn, np.diff(edges).astype(np.int64))


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """``top / bottom``; NaN where the latter is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


def percentiles(drawn: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of the interval at `LEVEL` from resampled values along the first axis; NaN for none."""
    defined = (
        np.isfinite(drawn).any(axis=0) if len(drawn) else np.zeros(drawn.shape[1:], dtype=bool)
    )
    ends = np.full((2, *drawn.shape[1:]), np.nan)
    if defined.any():
        levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        ends[:, defined] = np.nanquantile(drawn[:, defined], levels, axis=0)
    return ends[0], ends[1]


class RankedTarget:
    """Scores ranked once, for the AUC under many weightings of the groups.

    The AUC of the rows as they are is exact. Under weightings, rows that are neighbours in rank
    count as ties within 2^14 bins of equal size: up to 16,384 different scores are exact; with
    more, the AUC moves by less than 1 / 2^15, far less than the width of the interval.

    Args:
        score: ``(N,)`` scores.
        target: ``(N,)`` labels or probabilities.
        group: ``(N,)`` group of each row.
        order: ``(N,)`` positions of the scores in ascending order, if they are known.
    """

    def __init__(
        self, score: FloatArray, target: FloatArray, group: IntArray, order: IntArray | None = None
    ) -> None:
        order = np.argsort(score) if order is None else order
        ordered = score[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=np.nan) != 0)
        self._target = target[order]
        self._starts = starts
        self._group = torch.from_numpy(group[order])

    def auc(self) -> float:
        """AUC of the rows as they are."""
        if len(self._target) == 0:
            return float("nan")
        positive = np.add.reduceat(self._target, self._starts)
        rows = np.diff(self._starts, append=len(self._target))
        return float(_auc(*(torch.from_numpy(p[:, None]) for p in (positive, rows - positive)))[0])

    def resampled(self, counts: Sequence[Tensor]) -> FloatArray:
        """AUC with each row counted as often as its group, ``(R,)``; counts by `drawn_counts`."""
        rows = len(self._target)
        if rows == 0:
            return np.full(sum(block.shape[1] for block in counts), np.nan)
        bins = _binned(self._starts, rows)
        runs = _short(bins, rows)
        offsets = torch.from_numpy(runs)
        place = torch.from_numpy(np.searchsorted(bins, runs, side="right") - 1)
        target = torch.from_numpy(self._target.astype(np.float32))
        blocks = []
        for block in counts:
            table = block.float()
            parts = [
                embedding_bag(self._group, table, offsets, mode="sum", per_sample_weights=each)
                for each in (target, None)
            ]
            positive, mass = (_merged(part.double(), place, len(bins)) for part in parts)
            blocks.append(_auc(positive, mass - positive))
        return torch.cat(blocks).numpy()


def _binned(starts: IntArray, rows: int) -> IntArray:
    """First rows of the bins: of every run of ties, or of at most 2^14 evenly spaced ones."""
    if len(starts) <= _BINS:
        return starts
    steps = np.arange(_BINS) * rows // _BINS
    return starts[np.unique(np.searchsorted(starts, steps, side="right") - 1)]


def _short(bins: IntArray, rows: int) -> IntArray:
    """First rows of runs of at most `_RUN` rows, of which each bin has one or more."""
    if np.diff(bins, append=rows).max() <= _RUN:
        return bins
    return np.union1d(bins, np.arange(0, rows, _RUN))


def _merged(part: Tensor, place: Tensor, bins: int) -> Tensor:
    if len(part) == bins:
        return part
    return torch.zeros(bins, part.shape[1], dtype=part.dtype).index_add_(0, place, part)


def _auc(positive: Tensor, negative: Tensor) -> Tensor:
    """AUC by column from the masses of bins in ascending order, ``(B, R)`` each."""
    below = torch.cumsum(negative, 0) - negative / 2
    pairs = positive.sum(0) * negative.sum(0)
    return torch.where(pairs > 0, (positive * below).sum(0) / pairs, torch.nan)
