"""No sharing: a bottom of its own for every tower."""

import torch
from torch import Tensor, nn

from mtl_seq.nn.bottoms.base import Bottom, BottomFactory
from mtl_seq.nn.bottoms.shared import SharedBottom

__all__ = ["SingleTask"]


class SingleTask(Bottom):
    """A bottom per tower, each on that tower's input.

    With `TowerEmbeddings` nothing at all is shared (ESMM-NS); with `Embedding` the tables are, and
    nothing else (ESMM as published).

    Args:
        in_features: F.
        towers: T.
        bottom: Builds each tower's bottom.
    """

    per_tower = True

    def __init__(
        self, in_features: int, towers: int, *, bottom: BottomFactory = SharedBottom
    ) -> None:
        super().__init__()
        self.bottoms = nn.ModuleList(bottom(in_features, 1) for _ in range(towers))
        first = self.bottoms[0]
        assert isinstance(first, Bottom)
        self.out_features = first.out_features

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, T, F) -> (B, T, D)``."""
        outputs = []
        for bottom, x in zip(self.bottoms, shared.unbind(1), strict=True):
            assert isinstance(bottom, Bottom)
            outputs.append(bottom(x.unsqueeze(1) if bottom.per_tower else x))
        return torch.cat(outputs, dim=1)
