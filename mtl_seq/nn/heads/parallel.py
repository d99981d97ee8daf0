"""Parallel towers: the head of ESMM, and of ESM2 on a funnel with a mediator."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.funnel import Funnel
from mtl_seq.nn.heads.base import TowerHead
from mtl_seq.nn.layers.batched_experts import run_alike
from mtl_seq.nn.layers.mlp import Tower

__all__ = ["ParallelHead"]


class ParallelHead(TowerHead):
    """One tower per conditional; towers do not read each other.

    Args:
        hidden: Widths of a tower's layers before its logit.
    """

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        hidden: Sequence[int] = (32,),
    ) -> None:
        super().__init__(funnel)
        self.towers = nn.ModuleList(
            Tower(in_features + own.get(name, 0), hidden) for name in self.names
        )

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, T, D)`` and own features by tower -> ``(B, C)``."""
        return self._logits(hidden.unbind(1), own)

    def read(self, rows: Sequence[Tensor], own: Mapping[str, Tensor]) -> Tensor:
        """T times ``(B, D)`` and own features by tower -> ``(B, C)``."""
        return self._logits(rows, own)

    def _logits(self, rows: Sequence[Tensor], own: Mapping[str, Tensor]) -> Tensor:
        towers = [tower for tower in self.towers if isinstance(tower, Tower)]
        if not own and all(row is rows[0] for row in rows):
            # Towers with one input are batched like experts, which is faster for narrow ones.
            hidden = run_alike([tower.stack for tower in towers], rows[0])
            logits = [tower.conclude(x) for tower, x in zip(towers, hidden, strict=True)]
            return torch.stack(logits, dim=1)
        return super()._logits(rows, own)
