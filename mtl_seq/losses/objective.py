"""Objective of a model: named, weighted losses."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError, DataError
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["Objective"]


class Objective(nn.Module):
    """Losses by name, each reduced to its mean over all impressions and already weighted.

    Args:
        losses: The losses by name.
        weights: Weight of a loss; 1 where absent.

    Attributes:
        aux: Names of the extra towers the losses read.
        needs_potential: Whether some loss reads potential outcomes.
        debiases: Whether some loss is to make pCVR right over all impressions and not only on
            clicks.
        ranks_only: Whether the model orders impressions and gives no probabilities.

    Raises:
        CompositionError: No loss, a weight of an unknown loss, or one that is negative or not
            finite.
    """

    def __init__(
        self, losses: Mapping[str, Loss], weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        weights = dict(weights or {})
        if not losses:
            raise CompositionError("`losses` must hold at least one loss, found none")
        for name, weight in weights.items():
            if name not in losses:
                raise CompositionError(
                    f"`weights` must name losses {tuple(losses)}, found {name!r}"
                )
            if not 0 <= weight < math.inf:
                raise CompositionError(
                    f"the weight of {name!r} must be at least 0 and finite, found {weight}"
                )
        # Not a ModuleDict: a loss may have a stage's name, and that may be "apply" or "a.b".
        self.losses = dict(losses)
        self.parts = nn.ModuleList(losses.values())
        self.weights = {name: float(weights.get(name, 1.0)) for name in losses}
        self.aux = tuple(dict.fromkeys(name for loss in losses.values() for name in loss.aux))
        self.needs_potential = any(loss.needs_potential for loss in losses.values())
        self.debiases = any(loss.debiases for loss in losses.values())
        self.ranks_only = any(loss.ranks_only for loss in losses.values())

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> dict[str, Tensor]:
        """Prediction and labels of B rows -> scalars by name; their sum is the total loss.

        Rows count by ``labels.weight`` where there is one. A batch without rows gives 0.

        Raises:
            DataError: A weight of a row that is negative or not finite.
        """
        if labels.weight is not None:
            _check_weight(labels.weight)
        losses = {}
        for name, loss in self.losses.items():
            terms: Tensor = loss(prediction, labels)
            if labels.weight is not None:
                terms = terms * labels.weight.to(terms.dtype)
            total = terms.sum()
            if self.weights[name] != 1:
                total = self.weights[name] * total
            losses[name] = total / max(terms.shape[0], 1)
        return losses

    def total(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """The sum of the weighted losses."""
        return torch.stack(list(self(prediction, labels).values())).sum()


def _check_weight(weight: Tensor) -> None:
    # A compiled graph cannot raise.
    if torch.compiler.is_compiling():
        return
    bad = ~((weight >= 0) & torch.isfinite(weight))
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise DataError(
            f"`labels.weight` must be at least 0 and finite, found {float(weight[row])} in row "
            f"{row}: give rows that must not count the weight 0"
        )
