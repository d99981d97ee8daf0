"""What every bottom promises."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

__all__ = ["Bottom", "BottomFactory"]


class Bottom(nn.Module, ABC):
    """Shared input to one representation per tower.

    Shapes: B rows, F input features, T towers, D output features.

    Attributes:
        per_tower: Whether it takes ``(B, T, F)``, an input per tower, instead of ``(B, F)``.
        out_features: D.
    """

    per_tower: ClassVar[bool] = False
    out_features: int

    @abstractmethod
    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``, or ``(B, T, F) -> (B, T, D)`` where `per_tower`."""


BottomFactory = Callable[[int, int], Bottom]
"""Builds a bottom from F and T: a class, or ``functools.partial`` of one."""
