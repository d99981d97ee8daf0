"""AMAN, all missing as negative: unclicked impressions as failed conversions (Pan et al., 2008)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.losses.row_sampling import BernoulliSampling
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["AMAN"]


class AMAN(Loss):
    """Cross-entropy of pCVR on clicks and on a share of the rest, whose label is taken to be 0.

    A baseline of the ESMM paper, which tries rates of 10%, 20%, 50% and 100%. Its optimum is
    ``p q / (p + s (1 - p))``: too low everywhere, ordered by the click as much as by the
    conversion, and exactly pCTCVR at s = 1.

    Space: all impressions. Normalisation: the mean over all impressions, drawn or not; its authors
    take the mean over the sample, which differs by a factor. Detaches: the propensity, which only
    the corrected form reads. Labels of rows that were not clicked are never read.

    Args:
        rate: s, the share of the unclicked impressions that is drawn, in (0, 1].
        corrected: Not in the paper. The cross-entropy is that of ``p q / (p + s (1 - p))``, the
            conversion rate in the sample, with p the detached pCTR, so that the optimum is q. At
            s = 1 it is the CTCVR loss of ESMM with a detached pCTR.
        seed: Seed of the draw.

    Raises:
        CompositionError: A rate outside (0, 1].
    """

    space = "all"
    detaches_pctr = True

    def __init__(self, rate: float = 0.1, *, corrected: bool = False, seed: int = 0) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise CompositionError(
                f"`rate` must lie in (0, 1], found {rate}: without any unclicked impression the "
                "loss is `ClickSpace`"
            )
        self.rate = rate
        self.corrected = corrected
        self.sampling = BernoulliSampling(seed)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 where a row was not drawn."""
        logit = prediction.pcvr_logit
        if self.corrected:
            # The odds against are (1 - q) / q + s (1 - p) / (p q).
            missed = math.log(self.rate) - prediction.pctr_logit.detach() - logsigmoid(logit)
            logit = -torch.logaddexp(-logit, missed)
        clicked = labels.click > 0
        label = torch.where(clicked, labels.conversion, torch.zeros_like(labels.conversion))
        error = binary_cross_entropy(logit, label)
        drawn: Tensor = self.sampling(torch.full_like(error, self.rate))
        return torch.where(clicked, error, drawn * error)
