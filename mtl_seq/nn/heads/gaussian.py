"""Head for a click and a conversion with correlated normal utilities."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose.compose_gaussian import compose_gaussian
from mtl_seq.nn.heads.base import Head
from mtl_seq.nn.heads.parallel import ParallelHead

__all__ = ["GaussianHead"]


class GaussianHead(Head):
    """Parallel towers whose outputs are probit indices, and one correlation of their errors.

    The counterpart of `DependentHead` for normal errors; see `compose_gaussian`. The correlation
    starts at 0. It, too, needs a feature that moves clicks only.

    Args:
        hidden: Widths of a tower's layers before its index.
        rate: Learning rate of the correlation's parameter, relative to that of the weights.

    Raises:
        CompositionError: A funnel of other than two stages.
    """

    compose = staticmethod(compose_gaussian)
    independent = False

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        hidden: Sequence[int] = (32,),
        rate: float = 4.0,
    ) -> None:
        super().__init__()
        if funnel != Funnel.chain(*funnel.names) or len(funnel.names) != 2:
            raise CompositionError(
                f"`funnel` must have two stages for a correlation, found {funnel.names}: build "
                "it from the first stage and the one of interest, or use `DependentHead`"
            )
        self.towers = ParallelHead(funnel, in_features, own, hidden=hidden)
        self.rate = rate
        self.z = nn.Parameter(torch.zeros(1))

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, 2, D)`` and own features by tower -> ``(B, 3)``: indices, then z."""
        logits: Tensor = self.towers(hidden, own)
        z = (self.rate * self.z).to(logits.dtype).expand(logits.shape[0], 1)
        return torch.cat((logits, z), dim=1)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the towers' biases to the rates' normal quantiles; the correlation is unchanged."""
        normal = NormalDist()
        # The towers take rates and set their log odds, so the sigmoid of the index is passed.
        index = {name: torch.tensor(normal.inv_cdf(rate)) for name, rate in rates.items()}
        self.towers.start_at({name: float(torch.sigmoid(z)) for name, z in index.items()})
