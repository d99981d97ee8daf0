"""Likelihood of no click, a click, and a conversion, with correlated normal utilities."""

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import gaussian_pair
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["GaussianLikelihood"]


class GaussianLikelihood(Loss):
    """Negative log likelihood of the three outcomes of an impression in Heckman's model.

    See `gaussian_pair`; `DependentLikelihood` is the logistic counterpart.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing. Labels
    after the click are not read on rows without one.

    Raises:
        CompositionError: A prediction without a correlation.
    """

    space = "all"
    detaches_pctr = False
    debiases = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        if prediction.logits.shape[1] != 3 or len(prediction.stages) != 2:
            raise CompositionError(
                "the likelihood needs two indices and their correlation, found logits "
                f"{tuple(prediction.logits.shape)} of {prediction.stages}: use nn.GaussianHead"
            )
        pair = gaussian_pair(prediction.logits)
        click, conversion = labels.click > 0, labels.conversion > 0
        clicked = torch.where(conversion, pair.both, pair.click_alone)
        return -torch.where(click, clicked, pair.neither)
