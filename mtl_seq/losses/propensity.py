"""Propensities of counterfactual losses: source, floor and normalisation."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError, DataError
from mtl_seq.functional import (
    Array,
    as_tensor,
    inverse_propensity,
    propensity_quantile,
    self_normalised,
)
from mtl_seq.losses.base import Loss
from mtl_seq.losses.propensity_sources import PropensitySource
from mtl_seq.losses.weight_report import WeightReport
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["PropensityLoss", "PropensityPolicy", "check_propensity"]


@dataclass(frozen=True)
class PropensityPolicy:
    """Source of the propensities, their floor, and the normalisation of the weights.

    The propensity is ``labels.propensity`` where there is one, else the network's pCTR, and at
    least the resolution of its type (1.2e-7 in float32), so that saturated logits give finite
    weights.

    Attributes:
        quantile: Propensities below this quantile of the batch are raised to it. An absolute floor
            copied from another log can undo the method: at a CTR of 4%, 0.1 makes nearly every
            weight equal to 10.
        floor: An absolute floor in (0, 1) instead, as in the papers.
        self_normalise: Scale the weights of a batch so that they add up to its number of rows.
            This is SNIPS (Swaminathan and Joachims, NIPS 2015): less variance, invariant to the
            scale of unclipped propensities, consistent and no longer unbiased. Batches with few
            clicks are the worst case.
        detach: Whether the propensity is detached. Otherwise the click tower learns to inflate
            pCTR, which lowers the CVR loss; some implementations do that by accident, for example
            by setting `stop_gradient = True`, which has no effect in torch.
        source: Where `fit` takes ``labels.propensity`` from: `EvalMode`, `MovingAverage` or
            `CrossFit`; None for the forward pass in training, as in the papers.

    Raises:
        CompositionError: A quantile outside [0, 1), or a floor outside (0, 1).
        DataError: By its methods, a propensity of the labels that is outside (0, 1).
    """

    quantile: float = 0.01
    floor: float | None = None
    self_normalise: bool = False
    detach: bool = True
    source: PropensitySource | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.quantile < 1:
            raise CompositionError(f"`quantile` must lie in [0, 1), found {self.quantile}")
        if self.floor is not None and not 0 < self.floor < 1:
            raise CompositionError(
                f"`floor` must lie in (0, 1), found {self.floor}: leave it out to use `quantile`"
            )

    def weights(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """``(B,)`` weights ``o / max(p, floor)``, scaled if asked; 0 off the clicks."""
        return self.scaled(self.inverse(prediction, labels), labels)

    def inverse(
        self, prediction: FunnelPrediction, labels: FunnelLabels, *, clicked: bool = True
    ) -> Tensor:
        """``(B,)`` weights of clicks or of non-clicks, not scaled; 0 elsewhere."""
        propensity = self.propensity_of(prediction, labels, clicked=clicked)
        happened = labels.click if clicked else 1 - labels.click
        return inverse_propensity(happened, propensity, self.floor_of(propensity))

    def unclicked_weights(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """``(B,)`` weights ``(1 - o) / max(1 - p, floor)``, scaled if asked; 0 on the clicks.

        The floor is found among the ``1 - p`` in the same way.
        """
        return self.scaled(self.inverse(prediction, labels, clicked=False), labels)

    def scaled(self, weight: Tensor, labels: FunnelLabels) -> Tensor:
        """``(B,)`` weights, if self-normalising scaled to add up to the number of rows."""
        return self_normalised(weight, labels.weight) if self.self_normalise else weight

    def report(
        self, prediction: FunnelPrediction, labels: FunnelLabels, *, clicked: bool = True
    ) -> WeightReport:
        """Diagnostics of the weights of a batch: those of its clicks, or of its non-clicks."""
        with torch.no_grad():
            propensity = self.propensity_of(prediction, labels, clicked=clicked)
            floor = self.floor_of(propensity)
            happened = labels.click if clicked else 1 - labels.click
            weight = inverse_propensity(happened, propensity, floor)
            return WeightReport.of(self.scaled(weight, labels), propensity < floor)

    def propensity_of(
        self, prediction: FunnelPrediction, labels: FunnelLabels, *, clicked: bool = True
    ) -> Tensor:
        """``(B,)`` P(click), or P(no click), of every row, at least the resolution of its type."""
        dtype = prediction.pcvr_logit.dtype
        if labels.propensity is None:
            # 1 - p is formed from the logit: the difference would be 0 at p = 1 - 1e-8.
            logit = prediction.pctr_logit
            propensity = prediction.pctr if clicked else torch.sigmoid(-logit)
        else:
            check_propensity(labels.propensity)
            propensity = labels.propensity if clicked else 1 - labels.propensity
        propensity = propensity.to(dtype).clamp_min(torch.finfo(dtype).eps)
        return propensity.detach() if self.detach else propensity

    def floor_of(self, propensity: Array) -> Tensor | float:
        """What smaller ``(N,)`` propensities are raised to: `floor`, else the quantile."""
        if self.floor is not None:
            return self.floor
        return propensity_quantile(as_tensor(propensity), self.quantile)


class PropensityLoss(Loss):
    """A loss that divides by a propensity and reads the conversion on clicks only.

    Its gradient with respect to the click tower is exactly 0 unless the policy says otherwise.

    Attributes:
        weighs_unclicked: Whether it also divides by ``1 - p`` on non-clicks.

    Args:
        propensity: Source, floor and normalisation of the propensities.
    """

    debiases: ClassVar[bool] = True
    weighs_unclicked: ClassVar[bool] = False

    def __init__(self, propensity: PropensityPolicy | None = None) -> None:
        super().__init__()
        self.propensity = propensity or PropensityPolicy()
        self.detaches_pctr = self.propensity.detach


def check_propensity(propensity: Tensor) -> None:
    """Check that the propensities of the labels lie in (0, 1)."""
    # A compiled graph cannot raise.
    if torch.compiler.is_compiling():
        return
    outside = ~((propensity > 0) & (propensity < 1))
    if bool(outside.any()):
        row = int(outside.nonzero()[0])
        raise DataError(
            f"`labels.propensity` must lie in (0, 1), found {float(propensity[row])} in row {row}: "
            "where the click was certain or impossible the other outcome is never observed; drop "
            "such rows, or leave the propensities out to use the model's pCTR"
        )
