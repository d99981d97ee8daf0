"""Likelihood of the outcomes of an impression whose click and conversion may depend."""

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import dependent_chain
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["DependentLikelihood"]


class DependentLikelihood(Loss):
    """Negative log likelihood of the outcomes of an impression, given a, b and lambda.

    With F the log-sigmoid: ``F(b) + F(a + lambda)`` for a conversion, ``F(-b) + F(a)`` for a click
    without one, and ``log(s(b) s(-a - lambda) + s(-b) s(-a))`` for no click. At lambda = 0 it is
    the cross-entropy of the click plus that of the conversion among clicks: `EntireSpace` of the
    click and `ClickSpace`, the control's objective. For longer chains see `dependent_chain`.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing. Labels
    after the click are not read on rows without one.

    Raises:
        CompositionError: A prediction without lambda.
    """

    space = "all"
    detaches_pctr = False
    debiases = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        stages = len(prediction.stages)
        if prediction.logits.shape[1] != 2 * stages - 1:
            raise CompositionError(
                f"the likelihood needs a logit of each of the stages {prediction.stages} and "
                f"lambda of each edge, found logits {tuple(prediction.logits.shape)}: use "
                "nn.DependentHead"
            )
        chain = dependent_chain(prediction.logits)
        log_likelihood = chain.log_leave[0]
        reached = torch.ones_like(labels.click, dtype=torch.bool)
        for k in range(stages):
            reached = reached & (labels.stages[:, k] > 0)
            end = chain.log_leave[k + 1] if k + 1 < stages else chain.log_reach[-1]
            log_likelihood = torch.where(reached, end, log_likelihood)
        return -log_likelihood
