"""No sharing: a separate bottom for every tower."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_seq.nn.bottoms.base import Bottom, BottomFactory
from mtl_seq.nn.bottoms.shared import SharedBottom

__all__ = ["SingleTask"]


class SingleTask(Bottom):
    """A separate bottom per tower, each on that tower's input.

    With `TowerEmbeddings` nothing is shared (ESMM-NS); with `Embedding` only the tables are (ESMM
    as published).

    Args:
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
        return torch.cat([bottom(x) for bottom, x in self._each(shared)], dim=1)

    def rows(self, shared: Tensor) -> tuple[Tensor, ...]:
        """Each tower's bottom on its input; see `Bottom.rows`."""
        return tuple(bottom.rows(x)[0] for bottom, x in self._each(shared))

    def gates(self, shared: Tensor) -> Tensor:
        """``(B, T, F) -> (B, T, E)``, the experts of tower 0 first, then those of tower 1, ...

        Raises:
            CompositionError: The bottoms mix no experts.
        """
        blocks = [bottom.gates(x)[:, 0] for bottom, x in self._each(shared)]
        count, towers = blocks[0].shape[1], len(blocks)
        rows = [
            functional.pad(block, (count * tower, count * (towers - tower - 1)))
            for tower, block in enumerate(blocks)
        ]
        return torch.stack(rows, dim=1)

    def _each(self, shared: Tensor) -> Iterator[tuple[Bottom, Tensor]]:
        for bottom, x in zip(self.bottoms, shared.unbind(1), strict=True):
            assert isinstance(bottom, Bottom)
            yield bottom, x.unsqueeze(1) if bottom.per_tower else x
