"""Diagnostics of inverse propensity weights, summed over batches."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["WeightReport"]


class WeightReport(NamedTuple):
    """Sums over clicked rows (or over non-clicks), each a scalar tensor; `merge` adds reports.

    Attributes:
        clicks: How many rows were clicked.
        clipped: How many of them had a propensity below the floor.
        total: Sum of their weights.
        squares: Sum of the squared weights.
        largest: The largest weight.
    """

    clicks: Tensor
    clipped: Tensor
    total: Tensor
    squares: Tensor
    largest: Tensor

    @classmethod
    def of(cls, weight: Tensor, clipped: Tensor) -> "WeightReport":
        """The report of ``(B,)`` weights, 0 off the clicks, and whether each was clipped."""
        weight = weight.detach().double()
        clicked = weight > 0
        largest = weight.max() if weight.numel() else weight.new_zeros(())
        return cls(
            clicked.sum().double(),
            (clicked & clipped).sum().double(),
            weight.sum(),
            torch.square(weight).sum(),
            largest,
        )

    def merge(self, other: "WeightReport") -> "WeightReport":
        """The report of both batches together."""
        *sums, largest = zip(self, other, strict=True)
        return WeightReport._make((*(one + two for one, two in sums), torch.maximum(*largest)))

    @property
    def effective_size(self) -> float:
        """``(sum w)^2 / sum w^2``, the number of equally weighted clicks; NaN without clicks."""
        return _ratio(self.total**2, self.squares)

    @property
    def clipped_share(self) -> float:
        """Share of the clicked rows whose propensity was below the floor; NaN without clicks."""
        return _ratio(self.clipped, self.clicks)

    @property
    def largest_share(self) -> float:
        """Share of the largest weight in their sum; NaN without clicks."""
        return _ratio(self.largest, self.total)

    def figures(self) -> dict[str, float]:
        """The three figures by name."""
        names = ("effective_size", "clipped_share", "largest_share")
        return {name: getattr(self, name) for name in names}


def _ratio(top: Tensor, bottom: Tensor) -> float:
    return float(top / bottom) if float(bottom) > 0 else math.nan
