"""Propensity weights and the estimators of the ideal CVR loss that use them.

Notation: o click, p the propensity P(o = 1 | x), e the error of a row, e_hat its imputed error. The
ideal loss is the mean of e over all impressions; e is observed on clicks only.
"""

import torch
from torch import Tensor

__all__ = [
    "bias_weight",
    "dr",
    "inverse_propensity",
    "ips",
    "propensity_quantile",
    "self_normalised",
    "variance_weight",
]


def propensity_quantile(propensity: Tensor, quantile: float) -> Tensor:
    """Quantile of the propensities: the smallest value that reaches the share.

    Args:
        propensity: ``(B,)`` propensities.
        quantile: A share in [0, 1).

    Returns:
        A scalar tensor; 0 for an empty batch.
    """
    if propensity.numel() == 0:
        return propensity.new_zeros(())
    rank = int(quantile * (propensity.numel() - 1)) + 1
    return torch.kthvalue(propensity, rank).values


def inverse_propensity(click: Tensor, propensity: Tensor, floor: Tensor | float = 0.0) -> Tensor:
    """The weights ``o / max(p, floor)``, and exactly 0 off the clicks.

    Args:
        click: ``(B,)`` clicks, 0 or 1.
        propensity: ``(B,)`` propensities in (0, 1].
        floor: Propensities below it are raised to it.
    """
    floored = propensity.clamp_min(floor)
    return torch.where(click > 0, click / floored, torch.zeros_like(floored))


def self_normalised(weight: Tensor, mass: Tensor | None = None) -> Tensor:
    """Weights scaled so that they add up to the number of rows.

    The mean of ``weight * error`` is then ``sum w e / sum w``, a ratio. It is consistent, but not
    unbiased on a finite batch, and does not change if all propensities are scaled alike.

    Args:
        weight: ``(B,)`` weights of at least 0.
        mass: ``(B,)`` row weights that multiply the terms later; None for equal ones.

    Returns:
        ``(B,)`` weights; all 0 where they were.

    >>> self_normalised(torch.tensor([2.0, 0.0, 6.0, 0.0]))
    tensor([1., 0., 3., 0.])
    """
    total = (weight if mass is None else mass.to(weight.dtype) * weight).sum()
    scale = weight.shape[0] / torch.where(total > 0, total, torch.ones_like(total))
    return weight * torch.where(total > 0, scale, torch.zeros_like(scale))


def variance_weight(weight: Tensor) -> Tensor:
    """``o (1 - p) / p^2`` of inverse propensities: what a squared error adds to the variance of DR.

    Given x and the errors, ``N * variance`` of the doubly robust estimator is the mean of
    ``(1 - p) / p * (e - e_hat)^2``, of which this weight on clicks is the unbiased estimate (MRDR,
    Guo et al., SIGIR 2021).
    """
    return weight * (weight - torch.ones_like(weight)).clamp_min(0)


def bias_weight(weight: Tensor) -> Tensor:
    """``o (1 - p)^2 / p^3`` of inverse propensities: what a squared error adds to the bias of DR.

    It is ``o / p * ((o - p) / p)^2`` (DR-BIAS, Dai et al., KDD 2022).
    """
    return weight * torch.square((weight - torch.ones_like(weight)).clamp_min(0))


def ips(error: Tensor, weight: Tensor) -> Tensor:
    """``(B,)`` terms of the inverse propensity score estimator, ``o e / p``.

    Their mean over all impressions is unbiased for the ideal loss where p is the true propensity
    (conditional on x); bias otherwise ``mean((p - p_hat) / p_hat * e)``.

    Args:
        error: ``(B,)`` errors; values off the clicks have no influence.
        weight: ``(B,)`` weights from `inverse_propensity`.
    """
    return weight * torch.where(weight > 0, error, torch.zeros_like(error))


def dr(error: Tensor, imputed: Tensor, weight: Tensor) -> Tensor:
    """``(B,)`` terms of the doubly robust estimator, ``e_hat + o (e - e_hat) / p``.

    Their mean is unbiased where the propensity is true or the imputed error has the right
    conditional mean; bias otherwise ``mean((p - p_hat) / p_hat * (e - e_hat))``.

    Args:
        error: ``(B,)`` errors; values off the clicks have no influence.
        imputed: ``(B,)`` imputed errors on all impressions.
        weight: ``(B,)`` weights from `inverse_propensity`.
    """
    return imputed + ips(error - imputed, weight)
