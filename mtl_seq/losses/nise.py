"""NISE: non-click samples improved semi-supervised method (RecSys 2024)."""

import math

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["NISE"]


class NISE(Loss):
    """Cross-entropy on clicks; elsewhere, cross-entropy against the model's prediction itself.

    ``o bce(q, r) + (1 - o) bce(q, q)``, all times ``alpha min(L_CTR / L_CVR, beta)``, a constant of
    the batch without a gradient.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: the constant,
    and nothing else: with a detached pseudo-label the gradient ``q - q`` would be exactly 0 and the
    loss that of clicks alone. The term of non-clicks is the entropy of pCVR, which is smallest at
    pCVR 0 or 1: where conversions are rare it drives pCVR towards 0 on most impressions, so that
    the order may be preserved and calibration is not.

    Args:
        alpha: Scale of the balancing constant, above 0.
        beta: The bound of the ratio, above 0; infinite for none.

    Raises:
        CompositionError: A constant that is not above 0, or an infinite alpha.
    """

    space = "all"
    detaches_pctr = True

    def __init__(self, *, alpha: float = 1.0, beta: float = 50.0) -> None:
        super().__init__()
        if not 0 < alpha < math.inf:
            raise CompositionError(f"`alpha` must be above 0 and finite, found {alpha}")
        if not beta > 0:
            raise CompositionError(f"`beta` must be above 0, found {beta}")
        self.alpha = alpha
        self.beta = beta

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        logit = prediction.pcvr_logit
        observed = binary_cross_entropy(logit, labels.conversion)
        entropy = binary_cross_entropy(logit, logit.sigmoid())
        terms = torch.where(labels.click > 0, observed, entropy)
        return self._balance(prediction, labels, terms) * terms

    def _balance(self, prediction: FunnelPrediction, labels: FunnelLabels, terms: Tensor) -> Tensor:
        with torch.no_grad():
            ctr = binary_cross_entropy(prediction.pctr_logit, labels.click)
            mass = torch.ones_like(ctr) if labels.weight is None else labels.weight.to(ctr.dtype)
            ratio = (mass * ctr).sum() / (mass * terms).sum()
            # 0 / 0: a batch without rows, or one that both losses explain completely.
            return self.alpha * torch.nan_to_num(ratio, nan=self.beta).clamp_max(self.beta)
