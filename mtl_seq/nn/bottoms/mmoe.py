"""Multi-gate mixture of experts (Ma et al., KDD 2018)."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.nn.bottoms.base import Bottom
from mtl_seq.nn.bottoms.gates import ExpertFactory, Gate, build_experts, mix, width_of
from mtl_seq.nn.layers.batched_experts import run_alike

__all__ = ["MMoE"]


class MMoE(Bottom):
    """Experts that all towers share, mixed by one gate per tower.

    ``f_t(x) = sum_e softmax(W_t x)_e f_e(x)``: gates are linear on the input, without bias, and
    their softmax runs over the experts. Temperature and gate dropout are not in the paper.

    Args:
        experts: Number of experts.
        hidden: Widths of an expert, the last being D; empty for identity experts.
        expert: Builds an expert from F, instead of an `MLP` of widths `hidden`.
        temperature: Divides the gates' logits.
        gate_dropout: Probability that training drops an expert from a gate; see `Gate`.

    Raises:
        CompositionError: Fewer than one expert, or an option outside its range.
    """

    one_gate: ClassVar[bool] = False

    def __init__(
        self,
        in_features: int,
        towers: int,
        *,
        experts: int = 4,
        hidden: Sequence[int] = (64, 32),
        expert: ExpertFactory | None = None,
        temperature: float = 1.0,
        gate_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if experts < 1:
            raise CompositionError(f"`experts` must be at least 1, found {experts}")
        self.towers = towers
        self.experts = build_experts(expert, hidden, in_features, experts)
        gates = 1 if self.one_gate else towers
        self.gate = Gate(in_features, gates, experts, temperature=temperature, dropout=gate_dropout)
        self.out_features = width_of(self.experts[0])

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``."""
        return mix(self.gates(shared), run_alike(list(self.experts), shared))

    def gates(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, E)``: each tower's share of each expert."""
        gates: Tensor = self.gate(shared)
        return gates
