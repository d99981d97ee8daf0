"""Correlation of the errors of pCTR and pCVR."""

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights

__all__ = ["error_correlation"]

_CONSTANT = 1e-12


def error_correlation(
    pctr: Array,
    pcvr: Array,
    true_pctr: Array,
    true_pcvr: Array,
    weight: Array | None = None,
) -> Tensor:
    """Pearson correlation of ``pCTR - p`` and ``pCVR - q`` over all impressions.

    Methods that divide one prediction by another, or train one through the product of both, are
    biased by correlated errors.

    Args:
        pctr: ``(N,)`` predicted click probabilities.
        pcvr: ``(N,)`` predicted conversion probabilities.
        true_pctr: ``(N,)`` true ones; simulation only.
        true_pcvr: ``(N,)`` true ones; simulation only.
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        A float64 scalar in [-1, 1]; NaN where an error is the same for every row.
    """
    clicks, conversions, p, q = float_rows(
        pctr=pctr, pcvr=pcvr, true_pctr=true_pctr, true_pcvr=true_pcvr
    )
    mass = row_weights(weight, clicks)
    return correlation(correlation_sums(mass, clicks - p, conversions - q))


def correlation_sums(mass: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``(6,)`` sums of 1, a, b, a^2, b^2, a b; they add up over batches."""
    return torch.stack([(mass * x).sum() for x in (torch.ones_like(a), a, b, a * a, b * b, a * b)])


def correlation(sums: Tensor) -> Tensor:
    """The correlation from its sums."""
    mass, a, b, aa, bb, ab = sums.unbind()
    spread_a, spread_b = mass * aa - a**2, mass * bb - b**2
    # A constant has a spread of rounding errors only.
    varied = (spread_a > _CONSTANT * mass * aa) & (spread_b > _CONSTANT * mass * bb)
    coefficient = (mass * ab - a * b) / (spread_a * spread_b).sqrt()
    return torch.where(varied, coefficient.clamp(-1, 1), torch.nan)
