"""Base of the metrics that keep rows up to a limit, and bin them by a logit beyond it."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtl_seq.functional import LOGIT_BINS, logit_bin
from mtl_seq.metrics.base import Reasoned

__all__ = ["EXACT_ROWS", "KeptRows", "Table"]

EXACT_ROWS = 1_000_000
"""Number of rows kept by default before bins replace them."""


class Table(NamedTuple):
    """Rows, or bins of several rows: ``(M,)`` each, float64.

    Attributes:
        weight: Sum of the weights.
        square: Sum of their squares.
        values: Weighted means of what was added, in its order.
    """

    weight: Tensor
    square: Tensor
    values: tuple[Tensor, ...]


class KeptRows(Reasoned):
    """Base of metrics that need the order of rows and not only sums over them.

    Sums within 2^16 bins of a logit are kept from the first row on; beside them the rows
    themselves, until there are more than `exact_rows`. Whether rows or bins are read depends on the
    total number of rows, not on the order or the size of batches. Processes exchange the bins only.

    Args:
        adds: See `Reasoned`.
        values: How many columns are added, the binned one first.
        exact_rows: How many rows are kept; 0 for bins alone.
    """

    rows: Tensor
    kept: list[Tensor] | Tensor
    binned: Tensor

    def __init__(self, *adds: object, values: int, exact_rows: int) -> None:
        super().__init__(*adds, values, exact_rows)
        self.exact_rows = exact_rows
        self.add_state("rows", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("kept", [], dist_reduce_fx="cat")
        self.add_sums("binned", values + 2, LOGIT_BINS)

    def add(self, weight: Tensor, *values: Tensor) -> None:
        """Add rows of positive weight; the first of the values is a probability to bin by."""
        place = logit_bin(values[0])
        for total, column in zip(
            self.binned, (weight, weight**2, *(weight * value for value in values)), strict=True
        ):
            total += torch.bincount(place, column, minlength=LOGIT_BINS)
        self.rows += len(weight)
        if self.rows > self.exact_rows:
            self.kept = []
        elif isinstance(self.kept, list) and len(weight):
            self.kept.append(torch.stack((weight, *values)).T)

    def table(self) -> Table:
        """The rows if all of them were kept, else the bins."""
        kept = torch.cat(self.kept) if isinstance(self.kept, list) and self.kept else self.kept
        if isinstance(kept, Tensor) and len(kept) == self.rows:
            weight, *values = kept.T
            return Table(weight, weight**2, tuple(values))
        weight, square, *sums = self.binned[:, self.binned[0] > 0]
        return Table(weight, square, tuple(total / weight for total in sums))

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        self.kept = []
        super()._sync_dist(*args, **kwargs)
