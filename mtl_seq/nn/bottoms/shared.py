"""Hard parameter sharing (Caruana, 1997)."""

from collections.abc import Sequence

from torch import Tensor

from mtl_seq.nn.bottoms.base import Bottom
from mtl_seq.nn.layers.mlp import MLP

__all__ = ["SharedBottom"]


class SharedBottom(Bottom):
    """One MLP whose output every tower reads.

    Args:
        hidden: Widths of the stack, the last being D.
    """

    def __init__(self, in_features: int, towers: int, *, hidden: Sequence[int] = (64, 32)) -> None:
        super().__init__()
        self.towers = towers
        self.stack = MLP(in_features, hidden)
        self.out_features = self.stack.out_features

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``, the same for every tower."""
        hidden: Tensor = self.stack(shared)
        return hidden.unsqueeze(1).expand(-1, self.towers, -1)

    def rows(self, shared: Tensor) -> tuple[Tensor, ...]:
        """One tensor for every tower; see `Bottom.rows`."""
        return (self.stack(shared),) * self.towers
