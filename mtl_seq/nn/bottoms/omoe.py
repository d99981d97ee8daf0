"""One-gate mixture of experts, the control of MMoE (Ma et al., KDD 2018)."""

from torch import Tensor

from mtl_seq.nn.bottoms.gates import mix
from mtl_seq.nn.bottoms.mmoe import MMoE
from mtl_seq.nn.layers.batched_experts import run_alike

__all__ = ["OMoE"]


class OMoE(MMoE):
    """Experts mixed by one gate, so that all towers read the same representation.

    ``f(x) = sum_e softmax(W x)_e f_e(x)``. It differs from `MMoE`, whose arguments it has, by its
    single gate only.
    """

    one_gate = True

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``, the same for every tower."""
        return self._mixed(shared).expand(-1, self.towers, -1)

    def rows(self, shared: Tensor) -> tuple[Tensor, ...]:
        """One tensor for every tower; see `Bottom.rows`."""
        return (self._mixed(shared).squeeze(1),) * self.towers

    def gates(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, E)``, the same for every tower."""
        return super().gates(shared).expand(-1, self.towers, -1)

    def _mixed(self, shared: Tensor) -> Tensor:
        return mix(self.gate(shared), run_alike(list(self.experts), shared))
