"""Log-probabilities along a funnel, from logits.

Every event of a funnel is carried as a logit. Two operations are enough: `logit_product` for "and
then" (a stage after its parent) and `logit_mixture` for a stage with a mediator. Neither multiplies
probabilities, takes a log of a difference, or clamps, so no gradient overflows and none is killed.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["logit_exclusive", "logit_mixture", "logit_product", "promote"]


def promote(logit: Tensor) -> Tensor:
    """Return half types as float32; float32 and float64 stay as they are."""
    return logit.float() if logit.dtype in (torch.float16, torch.bfloat16) else logit


def logit_product(a: Tensor, b: Tensor) -> Tensor:
    """Logit of the product of two probabilities.

    Exactly ``logit(sigmoid(a) * sigmoid(b)) = -logsumexp(-a, -b, -a - b)``. A chain of K stages is
    a fold of this over its conditionals.

    Args:
        a: Logits of the first event, any shape.
        b: Logits of the second given the first, same shape.

    >>> a, b = torch.tensor(0.0), torch.tensor(0.0)
    >>> round(torch.sigmoid(logit_product(a, b)).item(), 6)
    0.25
    """
    return -torch.logsumexp(torch.stack((-a, -b, -a - b)), dim=0)


def logit_mixture(log_weights: Sequence[Tensor], logits: Sequence[Tensor]) -> Tensor:
    """Logit of the mixture ``sum_j w_j sigmoid(c_j)``: an event reached by one of several paths.

    ESM2's pCVR has two paths: ``y2 y3 + (1 - y2) y4``.

    Args:
        log_weights: Log-probabilities of the paths; their probabilities add up to 1.
        logits: Logits of the event given each path.
    """
    weights = torch.stack(tuple(log_weights))
    paths = torch.stack(tuple(logits))
    reached = torch.logsumexp(weights + logsigmoid(paths), dim=0)
    missed = torch.logsumexp(weights + logsigmoid(-paths), dim=0)
    return reached - missed


def logit_exclusive(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Exclusive classes beside "none of them", whose logit is 0.

    Args:
        logits: ``(B, M)`` softmax logits of the M classes against "none".

    Returns:
        ``(B, M)`` logits of each class against all the rest, and ``(B, M + 1)`` log-probabilities,
        "none" last.
    """
    full = torch.cat((logits, torch.zeros_like(logits[:, :1])), dim=1)
    rest = [
        torch.logsumexp(torch.cat((full[:, :j], full[:, j + 1 :]), dim=1), dim=1)
        for j in range(logits.shape[1])
    ]
    return logits - torch.stack(rest, dim=1), torch.log_softmax(full, dim=1)
