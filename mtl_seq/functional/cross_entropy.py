"""Unreduced binary cross-entropy from logits."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.functional.chain import promote

__all__ = ["binary_cross_entropy"]


def binary_cross_entropy(logit: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of a Bernoulli label, row by row.

    ``-(y log sigmoid(z) + (1 - y) log sigmoid(-z))``, in at least float32. The logit may be that of
    a conditional (pCVR) or of a joint (pCTCVR, from `logit_product`); both are exact in log space.

    Args:
        logit: ``(B,)`` logits.
        label: ``(B,)`` labels in [0, 1]; soft labels are allowed.

    Returns:
        ``(B,)`` losses in nats.

    >>> import torch
    >>> binary_cross_entropy(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor([0.6931])
    """
    logit = promote(logit)
    label = label.to(logit.dtype)
    return -(label * logsigmoid(logit) + (1 - label) * logsigmoid(-logit))
