"""Probabilities binned by their logit."""

import torch
from torch import Tensor

__all__ = ["LOGIT_BINS", "logit_bin"]

LOGIT_BINS = 2**16
"""How many bins `logit_bin` has."""

_FARTHEST = 20.0


def logit_bin(probability: Tensor) -> Tensor:
    """The bin of each probability among 2^16 of equal width on the logit scale from -20 to 20.

    A bin is 0.0006 wide: rates that differ by less than 0.06% share one, whether they are near 0.5
    or near 0.00001. Bins of equal width in probability put most of a rare event's rows into a few.
    Beyond ±20 all rows share the outermost bins.

    Args:
        probability: ``(N,)`` probabilities in [0, 1].

    Returns:
        ``(N,)`` int64 in [0, 2^16), ascending with the probability.

    >>> logit_bin(torch.tensor([0.0, 1e-5, 1.001e-5, 0.5, 1.0]))
    tensor([    0, 13905, 13906, 32768, 65535])
    """
    scaled = torch.logit(probability.double()).clamp(-_FARTHEST, _FARTHEST)
    place = ((scaled + _FARTHEST) * (LOGIT_BINS / (2 * _FARTHEST))).long()
    return place.clamp_max(LOGIT_BINS - 1)
