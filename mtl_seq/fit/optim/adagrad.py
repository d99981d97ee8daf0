"""Row-wise Adagrad (as in the optimisers of DLRM and FBGEMM)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_seq.fit.optim.row_wise import RowWise

__all__ = ["RowWiseAdagrad"]


@dataclass(frozen=True)
class RowWiseAdagrad(RowWise):
    """Divides a row's gradient by the root of its squared gradients, summed over time.

    ``s += mean(g^2); w -= lr g / (sqrt(s) + eps)``, with one s for each row. A
    row's steps shrink as it is seen more often; Adam's shrink by the learning rate only.

    Attributes:
        rate: The tables' learning rate over that of everything else, above 0.
        eps: Added to the root.
    """

    rate: float = 10.0
    eps: float = 1e-8

    def start(self, table: Tensor) -> dict[str, Tensor]:
        """One sum of squares a row."""
        return {"sum": torch.zeros(len(table), device=table.device)}

    def move(
        self,
        rows: Tensor,
        gradient: Tensor,
        memory: dict[str, Tensor],
        step: int,  # noqa: ARG002
    ) -> Tensor:
        """See `RowWise.move`."""
        total = memory["sum"].index_select(0, rows) + gradient.square().mean(1)
        memory["sum"].index_copy_(0, rows, total)
        return gradient / (total.sqrt() + self.eps).unsqueeze(1)
