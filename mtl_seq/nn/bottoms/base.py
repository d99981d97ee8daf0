"""The abstract base class of bottoms."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from mtl_seq.errors import CompositionError

__all__ = ["Bottom", "BottomFactory"]


class Bottom(nn.Module, ABC):
    """Map the shared input to one representation per tower.

    Shapes: B rows, F input features, T towers, E experts, D output features. Every bottom is built
    from ``in_features``, F, and ``towers``, T; subclasses document their further arguments.

    Attributes:
        per_tower: Whether it takes ``(B, T, F)``, an input per tower, instead of ``(B, F)``.
        out_features: D.
    """

    per_tower: ClassVar[bool] = False
    out_features: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reset `rows` to its default in a subclass that overrides only `forward`."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "rows" not in vars(cls):
            cls.rows = Bottom.rows  # type: ignore[method-assign]

    @abstractmethod
    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``, or ``(B, T, F) -> (B, T, D)`` where `per_tower`."""

    def rows(self, shared: Tensor) -> tuple[Tensor, ...]:
        """The input of `forward` -> its output by tower: T times ``(B, D)``.

        A bottom whose towers read one tensor overrides this to return the tensor itself, since
        stacking and unbinding it would copy it and its gradient.
        """
        hidden: Tensor = self(shared)
        return hidden.unbind(1)

    def gates(self, shared: Tensor) -> Tensor:  # noqa: ARG002  # what a gated bottom reads
        """Each tower's share of each expert: the input of `forward` -> ``(B, T, E)``.

        Shares add up to 1 over the experts; one that a tower cannot reach has a share of exactly 0.

        Raises:
            CompositionError: The bottom mixes no experts.
        """
        raise CompositionError(
            f"a bottom must mix experts to have gates, found {type(self).__name__}: CGC, MMoE, "
            "OMoE and PLE do, and SingleTask around one of these"
        )


BottomFactory = Callable[[int, int], Bottom]
"""Builds a bottom from F and T: a class, or ``functools.partial`` of one."""
