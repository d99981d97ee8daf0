"""Click model with clicks weighted by their engagement (YouTube's weighted logistic, 2016)."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["ReweightedClick", "Scale"]

Scale = Literal["normalised", "corrected", "raw"]


class ReweightedClick(Loss):
    """Cross-entropy of the click; a clicked row weighs 1 plus the beta of each stage it reached.

    The score is the logit of pCTCVR, used as that of one click model. With k(x) the mean weight of
    a click given x and k that of all clicks, the optimum of raw weights has the odds of the click
    times k(x): the expected engagement per unclicked impression, by which YouTube ranks (Covington
    et al., RecSys 2016), and not a probability. Predicted over observed clicks (PCOC) is about k at
    a low CTR. Scaling removes the constant k and leaves ``k(x) / k``: the odds of clicks that are
    likely to convert stay inflated, the others deflated.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing.

    Args:
        engagement: beta of each stage after the click; by default 1 each, so that on a chain with a
            cart a click weighs 1, a cart 2 and a purchase 3.
        scale: ``"normalised"`` divides the weights of clicks by their mean k, so that clicks and
            non-clicks keep their rates; ``"corrected"`` keeps the weights and compares them with
            odds times k, that is predicts odds / k; ``"raw"`` does neither. The first two have one
            optimum. k is the mean over the clicks that training has seen so far.

    Raises:
        CompositionError: A beta below 0, or another scale.
    """

    space = "all"
    detaches_pctr = False
    ranks_only = True
    mass: Tensor
    clicks: Tensor

    def __init__(
        self, engagement: Mapping[str, float] | None = None, *, scale: Scale = "normalised"
    ) -> None:
        super().__init__()
        for stage, beta in (engagement or {}).items():
            if not 0 <= beta < math.inf:
                raise CompositionError(
                    f"`engagement` must be at least 0 and finite, found {beta} for {stage!r}: a "
                    "click itself weighs 1"
                )
        if scale not in ("normalised", "corrected", "raw"):
            raise CompositionError(
                f"`scale` must be 'normalised', 'corrected' or 'raw', found {scale!r}"
            )
        self.engagement = None if engagement is None else dict(engagement)
        self.scale = scale
        for name in ("mass", "clicks"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    def weight(self, labels: FunnelLabels, stages: tuple[str, ...]) -> Tensor:
        """``(B,)`` weights before scaling; 1 for rows that were not clicked.

        Raises:
            CompositionError: Engagement of other stages than those after the click.
        """
        later = stages[1:]
        betas = dict.fromkeys(later, 1.0) if self.engagement is None else self.engagement
        if set(betas) - set(later):
            raise CompositionError(
                f"`engagement` must name stages after the click {later}, found {tuple(betas)}"
            )
        factor = labels.stages.new_tensor([betas.get(stage, 0.0) for stage in later])
        return 1 + labels.click * (labels.stages[:, 1:] @ factor)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        logit = prediction.joint_logit[prediction.stages[-1]]
        weight = self.weight(labels, prediction.stages).to(logit.dtype)
        if self.scale == "raw":
            return weight * binary_cross_entropy(logit, labels.click)
        mean = self._mean(weight, labels).to(logit.dtype)
        if self.scale == "corrected":
            return weight * binary_cross_entropy(logit + mean.log(), labels.click)
        scaled = torch.where(labels.click > 0, weight / mean, weight)
        return scaled * binary_cross_entropy(logit, labels.click)

    def figures(self) -> dict[str, float]:
        """k, the mean weight of the clicks so far; NaN without any."""
        if self.scale == "raw":
            return {}
        return {"mean_weight": float(self.mass / self.clicks)}

    def _mean(self, weight: Tensor, labels: FunnelLabels) -> Tensor:
        rows = labels.click if labels.weight is None else labels.click * labels.weight
        mass, clicks = (rows * weight).sum().double(), rows.sum().double()
        if self.training:
            self.mass += mass
            self.clicks += clicks
        if float(self.clicks) > 0:
            mass, clicks = self.mass, self.clicks
        return torch.where(clicks > 0, mass / clicks, torch.ones_like(mass)).detach()
