"""The abstract base class of heads."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose.compose_conditionals import compose_conditionals, tower_rates
from mtl_seq.nn.layers.mlp import Tower
from mtl_seq.records import FunnelPrediction

__all__ = ["Composition", "Head", "HeadFactory", "TowerHead", "join_own"]


class Composition(Protocol):
    """A function from a head's logits to probabilities along a funnel."""

    def __call__(
        self, funnel: Funnel, logits: Tensor, aux: Mapping[str, Tensor], /
    ) -> FunnelPrediction:
        """Stages, ``(B, C)`` logits and those of extra towers by name -> the prediction.

        It is in at least float32; the logits of extra towers are passed on.
        """


class Head(nn.Module, ABC):
    """Representations to logits, one tower per conditional of the funnel.

    Shapes: B rows, T towers, D features, F_t width of a tower's own input, C logits. Every head is
    built from the funnel, ``in_features``, D, and ``own``, the width F_t of each tower's own
    features, where it has any; subclasses document their further arguments.

    Attributes:
        compose: Turns the logits into probabilities; by default `compose_conditionals`.
        conditional: Whether each logit is a conditional of the funnel, so that no stage can be more
            probable than its parent.
        independent: Whether stages are independent of what would follow them, given the features;
            else lambda of each edge follows the towers' logits, see `compose_dependent`.
    """

    compose: ClassVar[Composition] = staticmethod(compose_conditionals)
    conditional: ClassVar[bool] = True
    independent: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reset `read` to its default in a subclass that overrides only `forward`."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "read" not in vars(cls):
            cls.read = Head.read  # type: ignore[method-assign]

    @abstractmethod
    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, T, D)`` and own features ``(B, F_t)`` by tower -> ``(B, C)``.

        Own features must reach that tower's logit only.
        """

    def read(self, rows: Sequence[Tensor], own: Mapping[str, Tensor]) -> Tensor:
        """As `forward`, from what each tower reads: T times ``(B, D)``."""
        logits: Tensor = self(torch.stack(tuple(rows), dim=1), own)
        return logits

    @abstractmethod
    def start_at(self, rates: Mapping[str, float]) -> None:
        """Initialise the logits' biases at these rates.

        Args:
            rates: By name of a conditional, in (0, 1); absent conditionals are left unchanged.
        """


class TowerHead(Head):
    """A head whose logits come from one `Tower` per conditional, in ``towers``."""

    towers: nn.ModuleList

    def __init__(self, funnel: Funnel) -> None:
        super().__init__()
        self.funnel = funnel
        self.names = tuple(conditional.name for conditional in funnel.conditionals)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the towers' biases; see `Head.start_at`."""
        starts = tower_rates(self.funnel, rates)
        for name, tower in zip(self.names, self.towers, strict=True):
            assert isinstance(tower, Tower)
            if name in starts:
                tower.start_at(starts[name])

    def _logits(self, rows: Sequence[Tensor], own: Mapping[str, Tensor]) -> Tensor:
        """Run each tower on its vector and its own features: T times ``(B, D)`` -> ``(B, T)``."""
        logits = [
            tower(join_own(row, own.get(name)))
            for tower, name, row in zip(self.towers, self.names, rows, strict=True)
        ]
        return torch.stack(logits, dim=1)


def join_own(row: Tensor, own: Tensor | None) -> Tensor:
    """Append a tower's own features to its representation, where it has any."""
    return row if own is None else torch.cat((row, own.to(row.dtype)), dim=1)


HeadFactory = Callable[[Funnel, int, Mapping[str, int]], Head]
"""Builds a head from the funnel, D and the width of each tower's own features."""
