"""Multi-gate mixture of experts (Ma et al., KDD 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.nn.bottoms.base import Bottom
from mtl_seq.nn.mlp import MLP

__all__ = ["MMoE"]


class MMoE(Bottom):
    """Experts that all towers share, mixed for each tower by a gate of its own.

    ``f_t(x) = sum_e softmax(W_t x)_e f_e(x)``: gates are linear on the input, without bias, and
    their softmax runs over the experts.

    Args:
        in_features: F.
        towers: T.
        experts: How many experts.
        hidden: Widths of an expert, the last being D; empty for experts that pass their input on.

    Raises:
        CompositionError: Fewer than one expert.
    """

    def __init__(
        self, in_features: int, towers: int, *, experts: int = 4, hidden: Sequence[int] = (64, 32)
    ) -> None:
        super().__init__()
        if experts < 1:
            raise CompositionError(f"`experts` must be at least 1, found {experts}")
        self.towers = towers
        self.experts = nn.ModuleList(MLP(in_features, hidden) for _ in range(experts))
        self.gate = nn.Linear(in_features, towers * experts, bias=False)
        self.out_features = hidden[-1] if hidden else in_features

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``."""
        outputs = torch.stack([expert(shared) for expert in self.experts], dim=1)
        return torch.bmm(self.gates(shared), outputs)

    def gates(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, E)``: each tower's share of each expert; rows add up to 1."""
        logits = self.gate(shared).unflatten(1, (self.towers, len(self.experts)))
        return torch.softmax(logits, dim=2)
