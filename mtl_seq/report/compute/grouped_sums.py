"""Sums within cells (deciles, segments), also under resamples of the users."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray
from mtl_seq.report.compute.bootstrap import IntArray, resamples

__all__ = ["CellSums", "Sampling", "cell_sums"]


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
    """Sum columns within cells; each user's rows are drawn together.

    Args:
        columns: ``(N, m)`` columns to sum.
        cell: ``(N,)`` cell of each row, from 0; rows of a negative one are left out.
        cells: Number of cells.
        sampling: How resamples are drawn.

    Returns:
        The sums.
    """
    groups = int(sampling.group.max()) + 1
    kept = cell >= 0
    pairs, place = np.unique(cell[kept] * groups + sampling.group[kept], return_inverse=True)
    sums = np.stack(
        [np.bincount(place, column, minlength=len(pairs)) for column in columns[kept].T], axis=1
    )
    owner = pairs % groups
    edges = np.searchsorted(pairs // groups, np.arange(cells + 1))
    spans = [slice(low, high) for low, high in pairwise(edges)]
    drawn = np.empty((sampling.replicates, cells, columns.shape[1]))
    for row, counts in enumerate(resamples(groups, sampling.replicates, sampling.seed)):
        for index, span in enumerate(spans):
            drawn[row, index] = counts[owner[span]] @ sums[span]
    total = np.stack([sums[span].sum(0) for span in spans])
    return CellSums(total, drawn, np.diff(edges).astype(np.int64))
