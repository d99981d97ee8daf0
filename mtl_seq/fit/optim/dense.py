"""Adam over every row of every table at every step."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from mtl_seq.fit.optim.base import split_tables

__all__ = ["DenseAdam"]


@dataclass(frozen=True)
class DenseAdam:
    """Adam over all parameters, in its fused form.

    First-order on purpose: with a detached propensity the gradient is not that of the reported
    loss, so a line search (L-BFGS) ends elsewhere.
    """

    def __call__(self, network: nn.Module, *, lr: float, weight_decay: float = 0.0) -> Optimizer:
        """Build the optimiser.

        Args:
            network: The network to train.
            lr: Learning rate.
            weight_decay: Decoupled decay of everything but embedding tables, whose rarely seen rows
                it would pull to zero.
        """
        rest, tables = split_tables(network)
        groups = [
            {"params": rest, "weight_decay": weight_decay},
            {"params": tables, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=True)
