"""Click and conversion as thresholds of correlated normal utilities.

The selection model of Heckman (Econometrica 1979) with a binary outcome: a click where
``a + e_1 > 0``, a conversion if clicked where ``b + e_2 > 0``, for EVERY impression, with
(e_1, e_2) standard normal of correlation rho. A common h carries the correlation,
``e_1 = c h + sqrt(1 - c^2) u``, ``e_2 = (rho / c) h + sqrt(1 - rho^2 / c^2) v`` with c^2 = 1/2, and
is integrated out by Gauss-Hermite quadrature: given h the two are independent, so that every
probability is a sum over nodes in log space, and rho = 0 is a point like any other.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl_seq.functional.chain import promote

__all__ = ["LARGEST_CORRELATION", "GaussianPair", "gaussian_pair"]

LARGEST_CORRELATION = 0.68
"""Bound of the correlation; c^2 = 1/2 allows those below 0.707."""


def _quadrature(size: int) -> tuple[list[float], list[float]]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(size)
    return nodes.tolist(), np.log(weights / weights.sum()).tolist()


# Plain numbers: a compiler cannot trace NumPy in the forward pass.
_NODES, _LOG_WEIGHTS = _quadrature(48)
_LOADING = math.sqrt(0.5)


class GaussianPair(NamedTuple):
    """Log-probabilities of click o and conversion if clicked r, ``(B,)`` each.

    Attributes:
        both: log P(o = 1, r = 1).
        click_alone: log P(o = 1, r = 0).
        neither: log P(o = 0).
        both_logit: Logit of the first.
        click_logit: Logit of P(o = 1).
        conversion_logit: Logit of P(r = 1), over all impressions.
    """

    both: Tensor
    click_alone: Tensor
    neither: Tensor
    both_logit: Tensor
    click_logit: Tensor
    conversion_logit: Tensor


def gaussian_pair(logits: Tensor) -> GaussianPair:
    """Compose the two indices and their correlation.

    Args:
        logits: ``(B, 3)``: a, b and z, with ``rho = 0.68 tanh(z)``.

    Returns:
        The log-probabilities, in at least float32.
    """
    a, b, z = promote(logits).unbind(1)
    h = torch.tensor(_NODES, dtype=a.dtype, device=a.device)
    log_weight = torch.tensor(_LOG_WEIGHTS, dtype=a.dtype, device=a.device)
    loading = LARGEST_CORRELATION * torch.tanh(z) / _LOADING
    click = (a[:, None] + _LOADING * h) / math.sqrt(1 - _LOADING**2)
    rest = torch.sqrt(1 - loading * loading)
    conversion = (b[:, None] + loading[:, None] * h) / rest[:, None]
    clicks, leaves = torch.special.log_ndtr(click), torch.special.log_ndtr(-click)
    converts, misses = torch.special.log_ndtr(conversion), torch.special.log_ndtr(-conversion)

    def over(terms: Tensor) -> Tensor:
        return torch.logsumexp(log_weight + terms, dim=1)

    both, click_alone, neither = over(clicks + converts), over(clicks + misses), over(leaves)
    return GaussianPair(
        both,
        click_alone,
        neither,
        both - torch.logaddexp(click_alone, neither),
        torch.logaddexp(both, click_alone) - neither,
        over(converts) - over(misses),
    )
