"""Compose logits of dependent stages into the probabilities of a funnel."""

from collections.abc import Mapping

from torch import Tensor

from mtl_seq.functional import dependent_chain, promote
from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelPrediction

__all__ = ["compose_dependent"]


def compose_dependent(
    funnel: Funnel, logits: Tensor, aux: Mapping[str, Tensor]
) -> FunnelPrediction:
    """Compose stages and their log odds ratios with their potential successors.

    The ``(B, 2 K - 1)`` logits are one per stage of a chain of K, at least two, then lambda of each
    edge. With a the logit of a click given no potential conversion, b that of the conversion if
    clicked and s the sigmoid: ``pCVR = s(b)`` over all impressions, ``pCTCVR = s(b) s(a +
    lambda)``, ``pCTR = s(b) s(a + lambda) + s(-b) s(a)``; pCTCVR / pCTR is the CVR of clicked
    impressions, and differs from pCVR. At lambda = 0 they are those of `compose_conditionals`;
    there is no branch there. For longer chains see `dependent_chain`: pCVR is then that of all
    stages after the click.
    """
    logits = promote(logits)
    chain = dependent_chain(logits)
    return FunnelPrediction(
        logits,
        dict(zip(funnel.names, chain.log_reach, strict=True)),
        dict(zip(funnel.names, chain.reach_logit, strict=True)),
        chain.log_last,
        chain.last_logit,
        {name: promote(logit) for name, logit in aux.items()},
    )
