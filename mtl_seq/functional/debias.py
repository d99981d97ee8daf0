"""Propensity weights and the estimators of the ideal CVR risk that use them.

Notation: o click, p the propensity P(o = 1 | x), e the error of a row, e_hat its imputed error. The
ideal risk is the mean of e over all impressions; e is observed on clicks only.
"""

import torch
from torch import Tensor

__all__ = ["dr", "inverse_propensity", "ips", "propensity_quantile"]


def propensity_quantile(propensity: Tensor, quantile: float) -> Tensor:
    """The propensity below which a share `quantile` of the rows lies.

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

    Returns:
        ``(B,)`` weights.
    """
    floored = propensity.clamp_min(floor)
    return torch.where(click > 0, click / floored, torch.zeros_like(floored))


def ips(error: Tensor, weight: Tensor) -> Tensor:
    """Row terms of the inverse propensity score estimator, ``o e / p``.

    Their mean over all impressions is unbiased for the ideal risk where p is the true propensity
    (conditional on x); bias otherwise ``mean((p - p_hat) / p_hat * e)``.

    Args:
        error: ``(B,)`` errors; what stands off the clicks has no influence.
        weight: ``(B,)`` weights from `inverse_propensity`.

    Returns:
        ``(B,)`` terms.
    """
    return weight * torch.where(weight > 0, error, torch.zeros_like(error))


def dr(error: Tensor, imputed: Tensor, weight: Tensor) -> Tensor:
    """Row terms of the doubly robust estimator, ``e_hat + o (e - e_hat) / p``.

    Their mean is unbiased where the propensity is true or the imputed error has the right
    conditional mean; bias otherwise ``mean((p - p_hat) / p_hat * (e - e_hat))``.

    Args:
        error: ``(B,)`` errors; what stands off the clicks has no influence.
        imputed: ``(B,)`` imputed errors on all impressions.
        weight: ``(B,)`` weights from `inverse_propensity`.

    Returns:
        ``(B,)`` terms.
    """
    return imputed + ips(error - imputed, weight)
