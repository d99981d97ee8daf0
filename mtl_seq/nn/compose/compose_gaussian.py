"""Compose indices of correlated normal utilities into the probabilities of a funnel."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.functional import gaussian_pair, promote
from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelPrediction

__all__ = ["compose_gaussian"]


def compose_gaussian(funnel: Funnel, logits: Tensor, aux: Mapping[str, Tensor]) -> FunnelPrediction:
    """Compose a click and a conversion whose normal utilities are correlated.

    The ``(B, 3)`` logits are the click's index, the conversion's, and z of their correlation; see
    `gaussian_pair`. pCVR is over all impressions; pCTCVR / pCTR is the CVR of clicks.
    """
    logits = promote(logits)
    pair = gaussian_pair(logits)
    # From its logit a probability is at most 1, and it is at least that of both.
    both = logsigmoid(pair.both_logit)
    click = torch.maximum(logsigmoid(pair.click_logit), both)
    conversion = torch.maximum(logsigmoid(pair.conversion_logit), both)
    return FunnelPrediction(
        logits,
        {funnel.first: click, funnel.last: both},
        {funnel.first: pair.click_logit, funnel.last: pair.both_logit},
        conversion,
        pair.conversion_logit,
        {name: promote(logit) for name, logit in aux.items()},
    )
