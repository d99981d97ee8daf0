"""From the logits of dependent click and conversion to the probabilities of a funnel."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.functional import logit_mixture, logit_product, promote
from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelPrediction

__all__ = ["compose_dependent"]


def compose_dependent(
    funnel: Funnel, logits: Tensor, aux: Mapping[str, Tensor]
) -> FunnelPrediction:
    """Compose a click and a conversion whose log odds ratio, given the features, is lambda.

    With a the logit of a click by someone who would not convert, b that of the conversion if
    clicked and s the sigmoid: ``pCVR = s(b)`` over all impressions,
    ``pCTCVR = s(b) s(a + lambda)``, ``pCTR = s(b) s(a + lambda) + s(-b) s(a)``. At lambda = 0 they
    are those of `compose_conditionals`; there is no branch there.

    Args:
        funnel: A chain of two stages.
        logits: ``(B, 3)``: a, b and lambda.
        aux: Logits of extra towers, passed on.

    Returns:
        The prediction, in at least float32. pCTCVR / pCTR is what it says of clicked impressions,
        and is not its pCVR.
    """
    logits = promote(logits)
    a, b, lam = logits.unbind(1)
    both, only_click = logsigmoid(b) + logsigmoid(a + lam), logsigmoid(-b) + logsigmoid(a)
    log_joint = {funnel.first: torch.logaddexp(both, only_click), funnel.last: both}
    joint_logit = {
        funnel.first: logit_mixture((logsigmoid(b), logsigmoid(-b)), (a + lam, a)),
        funnel.last: logit_product(b, a + lam),
    }
    promoted = {name: promote(logit) for name, logit in aux.items()}
    return FunnelPrediction(logits, log_joint, joint_logit, logsigmoid(b), b, promoted)
