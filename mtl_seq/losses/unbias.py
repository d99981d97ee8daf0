"""UNBIAS: rejection sampling of clicks (a baseline of the ESMM paper, SIGIR 2018)."""

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy, propensity_quantile
from mtl_seq.losses.base import Loss
from mtl_seq.losses.propensity import PropensityPolicy
from mtl_seq.losses.row_sampling import BernoulliSampling
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["Unbias"]


class Unbias(Loss):
    """Cross-entropy of pCVR on accepted clicks; one is accepted with probability ``min(c / p, 1)``.

    Accepted clicks are distributed like all impressions: IPS by resampling, with weights bounded by
    1 / c. The constant c is a low quantile of the batch's clicked propensities. Their minimum would
    bound nothing but reject nearly all clicks: the share accepted is then c / CTR.

    Space: clicks, accepted to represent all impressions. Normalisation: the mean over all
    impressions, so that its size is c times that of IPS; Adam is invariant to that. Detaches: the
    propensity, which is ``labels.propensity`` where there is one, else pCTR.

    Args:
        quantile: Quantile of the clicked propensities that is c, in [0, 1).
        seed: Seed of the draw.

    Attributes:
        clicks: How many clicks training has seen so far.
        accepted: How many of them were accepted.

    Raises:
        CompositionError: A quantile outside [0, 1).
    """

    space = "clicks"
    detaches_pctr = True
    debiases = True
    clicks: Tensor
    accepted: Tensor

    def __init__(self, quantile: float = 0.1, *, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= quantile < 1:
            raise CompositionError(f"`quantile` must lie in [0, 1), found {quantile}")
        self.quantile = quantile
        self.sampling = BernoulliSampling(seed)
        for name in ("clicks", "accepted"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    def chance(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """``(B,)`` the probability that a row is accepted; 0 off the clicks."""
        propensity = PropensityPolicy().propensity_of(prediction, labels)
        clicked = labels.click > 0
        constant = propensity_quantile(propensity[clicked], self.quantile)
        accept = (constant / propensity).clamp(max=1)
        return torch.where(clicked, accept, torch.zeros_like(accept))

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 where it was not accepted."""
        accept: Tensor = self.sampling(self.chance(prediction, labels))
        if self.training:
            self.clicks += (labels.click > 0).sum()
            self.accepted += accept.sum()
        error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion)
        return torch.where(accept > 0, accept * error, torch.zeros_like(error))

    def figures(self) -> dict[str, float]:
        """How many clicks were seen and accepted so far."""
        return {"clicks": float(self.clicks), "accepted": float(self.accepted)}
