"""Compose logits of joint probabilities into the probabilities of a funnel."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, takewhile
from operator import mul

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.functional import promote
from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelPrediction

__all__ = ["compose_joints", "joint_rates"]

_LEAST_GAP = 1e-7


def compose_joints(funnel: Funnel, logits: Tensor, aux: Mapping[str, Tensor]) -> FunnelPrediction:
    """Compose logits that are each the joint of a stage: P(the impression reaches it).

    The ``(B, K)`` logits have one column per stage; funnels with mediators are not supported.
    Nothing forces a stage to be less probable than its parent. pCVR is the ratio
    ``P(last) / P(first)``, clipped just below 1 where its logits are less than 1e-7 apart or in
    the wrong order; a clipped row has no gradient through the gap. With a and b the logits of the
    first and the last, ``logit(s(b) / s(a)) = softplus(a) - log(exp(a - b) - 1)``, which divides by
    nothing and is finite wherever a and b are.
    """
    logits = promote(logits)
    joint_logit = dict(zip(funnel.names, logits.unbind(1), strict=True))
    log_joint = {name: logsigmoid(logit) for name, logit in joint_logit.items()}
    first, last = joint_logit[funnel.first], joint_logit[funnel.last]
    gap = (first - last).clamp_min(_LEAST_GAP)
    # -logsigmoid(-a) is softplus(a), without the cut at 20 of torch's own.
    pcvr_logit = -logsigmoid(-first) - gap - torch.log(-torch.expm1(-gap))
    # From its logit, not as a difference of logarithms, which loses digits where both are large.
    # Rounding must not take the ratio below pCTCVR.
    log_pcvr = torch.maximum(logsigmoid(pcvr_logit), log_joint[funnel.last])
    promoted = {name: promote(logit) for name, logit in aux.items()}
    return FunnelPrediction(logits, log_joint, joint_logit, log_pcvr, pcvr_logit, promoted)


def joint_rates(names: Sequence[str], rates: Mapping[str, float]) -> dict[str, float]:
    """Rate at which impressions reach each stage of a chain, from each rate given the one before.

    The cumulative product of the rates, up to the first stage whose rate is absent.
    """
    known = list(takewhile(lambda name: name in rates, names))
    return dict(zip(known, accumulate((rates[name] for name in known), mul), strict=True))
