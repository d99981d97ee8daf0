"""Imputed label of doubly robust losses, fitted to the labels of clicks."""

import torch
from torch import Tensor

from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["LabelImputation"]


class LabelImputation(Loss):
    """Cross-entropy of tower ``imputation`` on clicks: ``o bce(r~, r)``.

    The published imputations fit the *error* of pCVR, ``(e - e_hat)^2 / p``: a row has no gradient
    where pCVR is one half, and weights of 1/p make it noisy where clicks are few. The tower sees
    every feature, so that given the features clicks are a random sample unless a confounder is in
    no column, and no weight is needed: r~ is trained as the control trains pCVR. Where the tower
    cannot represent P(conversion | x, click) it fits best where clicks are frequent; the doubly
    robust loss is still right where the propensity is.

    Space: clicks. Normalisation: the mean over all impressions. Detaches: nothing; it reads that
    tower alone. Its optimum is P(conversion | x, click).
    """

    space = "clicks"
    aux = ("imputation",)
    detaches_pctr = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        error = binary_cross_entropy(prediction.aux["imputation"], labels.conversion)
        return torch.where(labels.click > 0, error, torch.zeros_like(error))
