"""A click and a conversion that depend on each other by more than the features say."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose_dependent import compose_dependent
from mtl_seq.nn.heads.base import Head
from mtl_seq.nn.heads.parallel import ParallelHead
from mtl_seq.nn.mlp import Tower

__all__ = ["DependentHead"]


class DependentHead(Head):
    """Parallel towers for a and b, and lambda, the log odds ratio of click and conversion.

    See `compose_dependent`. lambda starts at 0, where the head is a `ParallelHead`. It needs a
    feature that moves clicks only (``Schema(click_only=[...])``): without one it is hardly
    identified, and what training makes of it can be far worse than lambda = 0.

    Args:
        funnel: A chain of two stages.
        in_features: D.
        own: Width of each tower's own features; towers without any may be absent.
        hidden: Widths of a tower's layers before its logit.
        dependence: Widths of the layers of a tower lambda(x) on the conversion tower's
            representation, empty for a linear one; None for one number.

    Raises:
        CompositionError: A funnel of other than two stages.
    """

    compose = staticmethod(compose_dependent)
    independent = False

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        hidden: Sequence[int] = (32,),
        dependence: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if len(funnel.stages) != 2:
            raise CompositionError(
                f"`funnel` must have two stages for a dependence, found {funnel.names}: make it "
                "of the first stage and the one of interest"
            )
        self.towers = ParallelHead(funnel, in_features, own, hidden=hidden)
        self.lam = nn.Parameter(torch.zeros(()))
        self.tower = None if dependence is None else Tower(in_features, dependence)
        if self.tower is not None:
            nn.init.zeros_(self.tower.logit.weight)

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, 2, D)`` and own features by tower -> ``(B, 3)``: a, b, lambda."""
        logits: Tensor = self.towers(hidden, own)
        lam = self.lam.to(logits.dtype).expand(len(logits))
        if self.tower is not None:
            lam = lam + self.tower(hidden[:, 1])
        return torch.cat((logits, lam[:, None]), dim=1)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the towers' biases; lambda stays."""
        self.towers.start_at(rates)
