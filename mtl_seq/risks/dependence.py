"""Likelihood of no click, a click, and a conversion, where the two may depend on each other."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.errors import CompositionError
from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.risks.base import Risk

__all__ = ["DependentLikelihood"]


class DependentLikelihood(Risk):
    """Negative log likelihood of the three outcomes of an impression, given a, b and lambda.

    With F the log-sigmoid: ``F(b) + F(a + lambda)`` for a conversion, ``F(-b) + F(a)`` for a click
    without one, and ``log(s(b) s(-a - lambda) + s(-b) s(-a))`` for no click. At lambda = 0 it is
    the cross-entropy of the click plus that of the conversion among clicks: `EntireSpace` of the
    click and `ClickSpace`, the control's objective.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing. Labels
    after the click are not read on rows without one.

    Raises:
        CompositionError: A prediction without lambda.
    """

    space = "all impressions"
    detaches_pctr = False
    reads_unclicked = False

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        if prediction.logits.shape[1] != 3 or len(prediction.stages) != 2:
            raise CompositionError(
                "the likelihood needs a, b and lambda of two stages, found logits "
                f"{tuple(prediction.logits.shape)} of {prediction.stages}: use nn.DependentHead"
            )
        a, b, lam = prediction.logits.unbind(1)
        converted = logsigmoid(b) + logsigmoid(a + lam)
        clicked = logsigmoid(-b) + logsigmoid(a)
        neither = torch.logaddexp(
            logsigmoid(b) + logsigmoid(-a - lam), logsigmoid(-b) + logsigmoid(-a)
        )
        click, conversion = labels.click > 0, labels.conversion > 0
        return -torch.where(click, torch.where(conversion, converted, clicked), neither)
