"""MLP and tower: a ReLU stack, and one that ends in a logit.

Shapes: B rows, F input features, D output features.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError

__all__ = ["MLP", "Tower"]


class MLP(nn.Module):
    """Linear layers, each followed by a ReLU.

    Args:
        in_features: F.
        hidden: Width of each layer, the last being D; empty for the identity.

    Raises:
        CompositionError: A width below 1.
    """

    def __init__(self, in_features: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = (in_features, *hidden)
        if min(widths) < 1:
            raise CompositionError(f"`hidden` must have widths of at least 1, found {widths}")
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.out_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """``(B, F) -> (B, D)``."""
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


class Tower(nn.Module):
    """A ReLU stack that ends in one logit.

    Args:
        in_features: F.
        hidden: Widths of the layers before the logit; empty for a linear tower.
    """

    def __init__(self, in_features: int, hidden: Sequence[int] = ()) -> None:
        super().__init__()
        self.stack = MLP(in_features, hidden)
        self.logit = nn.Linear(self.stack.out_features, 1)
        nn.init.zeros_(self.logit.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, F) -> (B,)``."""
        return self.conclude(self.stack(x))

    def conclude(self, hidden: Tensor) -> Tensor:
        """Map the output of the stack, ``(B, D)``, to the logit, ``(B,)``."""
        if torch.is_autocast_enabled(hidden.device.type):
            # In bfloat16 a logit is too coarse: at 4% its steps are 1.5% of the probability.
            logit: Tensor = (hidden.float() * self.logit.weight).sum(1, keepdim=True)
            logit = logit + self.logit.bias
        else:
            logit = self.logit(hidden)
        return logit.squeeze(1)

    def start_at(self, rate: float) -> None:
        """Initialise the bias at a rate in (0, 1) instead of one half."""
        nn.init.constant_(self.logit.bias, math.log(rate) - math.log1p(-rate))
