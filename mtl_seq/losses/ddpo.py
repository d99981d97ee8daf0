"""DDPO: direct dual propensity optimization (SIGIR 2024)."""

import torch
from torch import Tensor

from mtl_seq.functional import binary_cross_entropy, ips
from mtl_seq.losses.base import Loss
from mtl_seq.losses.propensity import PropensityLoss, PropensityPolicy
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["DDPO", "ConversionPropensity"]


class ConversionPropensity(Loss):
    """Cross-entropy of tower ``conversion_propensity`` on clicks, the teacher of `DDPO`.

    Space: clicks. Normalisation: the mean over all impressions. Detaches: nothing; it reads that
    tower alone. Its optimum is P(conversion | x, click).
    """

    space = "clicks"
    aux = ("conversion_propensity",)
    detaches_pctr = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        error = binary_cross_entropy(prediction.aux["conversion_propensity"], labels.conversion)
        return torch.where(labels.click > 0, error, torch.zeros_like(error))


class DDPO(PropensityLoss):
    """Clicks weighted by 1/p with soft labels, non-clicks by 1/(1 - p) with the teacher's.

    ``o bce(q, r*) / p + (1 - o) bce(q, q_c) / (1 - p)``, where q_c is the detached
    ``conversion_propensity`` and r* is 1 on conversions and q_c on clicks without one.

    Space: all impressions. Normalisation: that of the paper, weighted means over clicks and over
    non-clicks, with the default policy, which is self-normalising; the authors' code averages them
    over the batch once more. Detaches: the propensity and the teacher.

    With a right teacher the soft labels have mean ``q + (1 - q) q_c`` on clicks, nearly twice the
    CVR: without noise the loss's optimum is ``(3 q - q^2) / 2``. `soft_labels=False` is right
    there. On non-clicks the teacher's extrapolation is copied in either case.

    Args:
        propensity: Source and floor of the propensities; by default self-normalising.
        soft_labels: Whether clicks without conversion have the teacher's label, as in the paper.
    """

    space = "all"
    aux = ("conversion_propensity",)
    weighs_unclicked = True

    def __init__(
        self, propensity: PropensityPolicy | None = None, *, soft_labels: bool = True
    ) -> None:
        super().__init__(propensity or PropensityPolicy(self_normalise=True))
        self.soft_labels = soft_labels

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        teacher = prediction.aux["conversion_propensity"].sigmoid().detach()
        observed = labels.conversion.to(teacher.dtype)
        soft = torch.where(observed > 0, observed, teacher) if self.soft_labels else observed
        on_clicks = binary_cross_entropy(prediction.pcvr_logit, soft)
        off_clicks = binary_cross_entropy(prediction.pcvr_logit, teacher)
        clicked = self.propensity.weights(prediction, labels)
        missed = self.propensity.unclicked_weights(prediction, labels)
        return ips(on_clicks, clicked) + ips(off_clicks, missed)
