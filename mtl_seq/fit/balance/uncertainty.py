"""Uncertainty weighting (Kendall et al., CVPR 2018)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance.base import Balance
from mtl_seq.fit.balance.parts import Parts

__all__ = ["Uncertainty"]


class Uncertainty(Balance):
    """``sum_k L_k exp(-s_k) / 2 + s_k / 2`` with learned ``s_k``, which start at 0.

    For a fixed loss the best weight is ``1 / (2 L_k)``: every task ends up with the same share of
    the total, however small its loss is, masked to clicks or of rare conversions. As a loss goes to
    0 its weight grows without bound.

    Args:
        losses: Names of the objective's losses.
        largest: Weights ``exp(-s_k) / 2`` stop here; unbounded by default, as published.
        tasks: By task, the losses whose sum is its loss.

    Raises:
        CompositionError: A bound of at most 1/2, where weights start.
    """

    distributed = True

    def __init__(
        self,
        losses: Sequence[str],
        *,
        largest: float = math.inf,
        tasks: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(losses, tasks=tasks)
        if not largest > 0.5:
            raise CompositionError(
                f"`largest` must be above 0.5, where weights start, found {largest}"
            )
        self.least = -math.log(2 * largest)
        self.log_variance = nn.Parameter(torch.zeros(len(self.tasks)))

    def total(self, losses: Tensor) -> Tensor:
        """``(K,)`` losses -> the scalar that is minimised."""
        return (losses * torch.exp(-self.log_variance) / 2 + self.log_variance / 2).sum()

    def backward(self, losses: Tensor, parts: Parts) -> None:  # noqa: ARG002
        """See `Balance.backward`."""
        with torch.no_grad():
            # The optimiser may have gone past the bound; from there it would only go further.
            self.log_variance.clamp_(min=self.least)
        self.total(losses).backward()  # type: ignore[no-untyped-call]

    def learned(self) -> list[nn.Parameter]:
        """The log-variances."""
        return [self.log_variance]

    def weights(self) -> Tensor:
        """``(K,)`` ``exp(-s_k) / 2``."""
        return torch.exp(-self.log_variance.detach().clamp_min(self.least)) / 2
