"""Row-wise Adam."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_seq.fit.optim.row_wise import RowWise

__all__ = ["RowWiseAdam"]


@dataclass(frozen=True)
class RowWiseAdam(RowWise):
    """Divides a row's gradient by the root of its mean squared gradient, as Adam does.

    ``v = beta^k v + (1 - beta) mean(g^2); w -= lr g / (sqrt(v / (1 - beta^t)) + eps)``, with one v
    for each row, k steps since the row was last touched and t steps in all: v is what dense Adam
    would hold, averaged over the row. There is no first moment, which would update every row at
    every step: a gradient acts at once and in full instead of over some ten steps.

    Attributes:
        rate: The tables' learning rate over that of everything else, above 0.
        beta: Decay of the mean squared gradient a step, in [0, 1).
        eps: Added to the root.
    """

    rate: float = 1.0
    beta: float = 0.999
    eps: float = 1e-8

    def start(self, table: Tensor) -> dict[str, Tensor]:
        """A mean square and the step of the last touch for each row."""
        # Both float32, since that is what an optimiser's state becomes when it is loaded.
        mean_square, last = torch.zeros(2, len(table), device=table.device)
        return {"mean_square": mean_square, "last": last}

    def move(self, rows: Tensor, gradient: Tensor, memory: dict[str, Tensor], step: int) -> Tensor:
        """See `RowWise.move`."""
        gap = step - memory["last"].index_select(0, rows)
        kept = torch.pow(self.beta, gap)
        square = kept * memory["mean_square"].index_select(0, rows)
        square += (1 - self.beta) * gradient.square().mean(1)
        memory["mean_square"].index_copy_(0, rows, square)
        memory["last"].index_fill_(0, rows, step)
        root = (square / (1 - self.beta**step)).sqrt()
        return gradient / (root + self.eps).unsqueeze(1)
