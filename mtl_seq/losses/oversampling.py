"""Oversampling of conversions among clicks (Weiss, 2004; a baseline of the ESMM paper)."""

import math

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["Oversampling"]


class Oversampling(Loss):
    """Cross-entropy of pCVR on clicks, each conversion counted k times.

    The ESMM paper tries k = 2, 3, 5 and 10. Counting a row k times equals k copies of it. The
    optimum has the odds of the conversion times k: the order stays, the probabilities are inflated.

    Space: clicks. Normalisation: the mean over all impressions, copies not counted. Detaches:
    nothing; it reads the CVR tower alone.

    Args:
        factor: k, at least 1.
        corrected: Not in the paper. Compares the sample with odds times k (King and Zeng, 2001), so
            that the optimum is the CVR on clicks.

    Raises:
        CompositionError: A factor below 1, or infinite.
    """

    space = "clicks"
    detaches_pctr = True

    def __init__(self, factor: float = 5.0, *, corrected: bool = False) -> None:
        super().__init__()
        if not 1 <= factor < math.inf:
            raise CompositionError(
                f"`factor` must be at least 1 and finite, found {factor}: at 1 the loss is "
                "`ClickSpace`"
            )
        self.factor = factor
        self.corrected = corrected

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        shift = math.log(self.factor) if self.corrected else 0.0
        error = binary_cross_entropy(prediction.pcvr_logit + shift, labels.conversion)
        copies = 1 + (self.factor - 1) * labels.conversion.to(error.dtype)
        return torch.where(labels.click > 0, copies * error, torch.zeros_like(error))
