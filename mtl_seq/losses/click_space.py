"""Cross-entropy of the conversion on clicks: the usual CVR loss."""

import torch
from torch import Tensor

from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["ClickSpace"]


class ClickSpace(Loss):
    """Cross-entropy of pCVR, masked to clicks.

    Space: clicks. Normalisation: the mean over all impressions, so its size is the click rate times
    that of a mean over clicks. Detaches: nothing; it reads the CVR tower alone. Its optimum is
    P(conversion | x, click), which is the CVR of the entire space only where nothing hidden moves
    both and the tower can represent it.
    """

    space = "clicks"
    detaches_pctr = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion)
        return torch.where(labels.click > 0, error, torch.zeros_like(error))
