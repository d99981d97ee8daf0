"""Parallel towers: the head of ESMM, and of ESM2 on a funnel with a mediator."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose.compose_conditionals import tower_rates
from mtl_seq.nn.heads.base import Head
from mtl_seq.nn.layers.batched_experts import run_alike
from mtl_seq.nn.layers.mlp import Tower

__all__ = ["ParallelHead", "join_own"]


class ParallelHead(Head):
    """One tower per conditional; towers do not read each other.

    Args:
        funnel: The stages.
        in_features: D.
        own: Width of each tower's own features; towers without any may be absent.
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
        super().__init__()
        self.funnel = funnel
        self.names = tuple(conditional.name for conditional in funnel.conditionals)
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
        logits = [
            tower(join_own(row, own.get(name)))
            for tower, name, row in zip(towers, self.names, rows, strict=True)
        ]
        return torch.stack(logits, dim=1)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the towers' biases; see `Head.start_at`."""
        starts = tower_rates(self.funnel, rates)
        for name, tower in zip(self.names, self.towers, strict=True):
            assert isinstance(tower, Tower)
            if name in starts:
                tower.start_at(starts[name])


def join_own(row: Tensor, own: Tensor | None) -> Tensor:
    """Append a tower's own features to its representation, where it has any."""
    return row if own is None else torch.cat((row, own.to(row.dtype)), dim=1)
