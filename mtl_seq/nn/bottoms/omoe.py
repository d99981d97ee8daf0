"""One-gate mixture of experts, the control of MMoE (Ma et al., KDD 2018)."""

from collections.abc import Sequence

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.nn.bottoms.base import Bottom
from mtl_seq.nn.bottoms.gates import (
    ExpertFactory,
    Gate,
    build_experts,
    mix,
    width_of,
)
from mtl_seq.nn.layers.batched_experts import run_alike

__all__ = ["OMoE"]


class OMoE(Bottom):
    """Experts mixed by one gate, so that all towers read the same representation.

    ``f(x) = sum_e softmax(W x)_e f_e(x)``. It differs from `MMoE` by its single gate only.

    Args:
        in_features: F.
        towers: T.
        experts: Number of experts.
        hidden: Widths of an expert, the last being D; empty for identity experts.
        expert: Builds an expert from F, instead of an `MLP` of widths `hidden`.
        temperature: Divides the gate's logits.
        gate_dropout: Probability that training drops an expert from the gate; see `Gate`.

    Raises:
        CompositionError: Fewer than one expert, or an option outside its range.
    """

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
        self.gate = Gate(in_features, 1, experts, temperature=temperature, dropout=gate_dropout)
        self.out_features = width_of(self.experts[0])

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``, the same for every tower."""
        return self._mixed(shared).expand(-1, self.towers, -1)

    def rows(self, shared: Tensor) -> tuple[Tensor, ...]:
        """One tensor for every tower; see `Bottom.rows`."""
        return (self._mixed(shared).squeeze(1),) * self.towers

    def gates(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, E)``, the same for every tower."""
        gates: Tensor = self.gate(shared)
        return gates.expand(-1, self.towers, -1)

    def _mixed(self, shared: Tensor) -> Tensor:
        return mix(self.gate(shared), run_alike(list(self.experts), shared))
