"""Diagnostics of inverse propensity weights: effective sample size, largest share, balance."""

from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional.arrays import Array, as_tensor, float_rows, row_weights
from mtl_seq.functional.pointwise import ratio

__all__ = ["Balanced", "balance", "effective_sample_size", "largest_weight_share"]


class Balanced(NamedTuple):
    """Weighted clicks against all impressions; float64.

    Attributes:
        weight_mean: Mean of ``o / p`` over all impressions; 1 where the propensity is right.
        difference: ``(F,)`` mean of ``o / p * feature`` less mean of the feature; 0 where the
            propensity is right.
        standardised: ``(F,)`` the same over the feature's standard deviation on all impressions;
            NaN for a constant feature. Above 0.1 is commonly called out of balance.
    """

    weight_mean: Tensor
    difference: Tensor
    standardised: Tensor


def effective_sample_size(weight: Array) -> Tensor:
    """``(sum w)^2 / sum w^2`` (Kish, 1965): the equivalent number of equal weights.

    Args:
        weight: ``(N,)`` weights, for example `inverse_propensity`.

    Returns:
        A float64 scalar between 1 and the number of weights above 0; NaN where there is none.
    """
    weights = row_weights(weight, as_tensor(weight))
    return ratio(weights.sum() ** 2, (weights**2).sum())


def largest_weight_share(weight: Array) -> Tensor:
    """``max w / sum w``: how much an estimate depends on a single row.

    Args:
        weight: ``(N,)`` weights, for example `inverse_propensity`.

    Returns:
        A float64 scalar in (0, 1]; NaN where no weight is above 0.
    """
    weights = row_weights(weight, as_tensor(weight))
    top = weights.max() if weights.numel() else weights.sum()
    return ratio(top, weights.sum())


def balance(
    click: Array, propensity: Array, features: Array, weight: Array | None = None
) -> Balanced:
    """Whether clicks weighted by 1 / p look like all impressions.

    Args:
        click: ``(N,)`` clicks.
        propensity: ``(N,)`` propensities, above 0 on clicks.
        features: ``(N, F)`` columns to compare, for example dense features and the propensity.
        weight: ``(N,)`` non-negative weights of the rows.

    Raises:
        DataError: NaN, columns of different lengths, or a clicked row without propensity.
    """
    clicks, chances = float_rows(click=click, propensity=propensity)
    mass = row_weights(weight, clicks)
    columns = as_tensor(features).double()
    if columns.ndim != 2 or len(columns) != len(clicks) or bool(torch.isnan(columns).any()):
        raise DataError(
            f"`features` must be numbers of shape ({len(clicks)}, F), found "
            f"{tuple(columns.shape)}{' with NaN' if columns.isnan().any() else ''}"
        )
    sums = balance_sums(mass, inverse(clicks, chances), columns)
    return balanced(*sums)


def inverse(click: Tensor, propensity: Tensor) -> Tensor:
    """``o / p`` in float64, 0 off the clicks; the propensities of clicks must lie in (0, 1]."""
    clicks, chances = click.double(), propensity.double()
    bad = (clicks > 0) & ~((chances > 0) & (chances <= 1))
    if bad.any():
        raise DataError(
            f"`propensity` must lie in (0, 1] on clicks, found {chances[bad][0]:g} in "
            f"{int(bad.sum()):,} clicked rows: raise it to a floor"
        )
    return torch.where(clicks > 0, clicks / chances, 0.0)


def balance_sums(
    mass: Tensor, weight: Tensor, features: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Sums of mass, weight, weighted features, features and their squares."""
    mass = mass.double()
    return (
        mass.sum(),
        (mass * weight).sum(),
        (mass * weight) @ features,
        mass @ features,
        mass @ features**2,
    )


def balanced(
    mass: Tensor, weighted: Tensor, chosen: Tensor, plain: Tensor, squared: Tensor
) -> Balanced:
    """Covariate balance from its sums."""
    mean = ratio(plain, mass)
    difference = ratio(chosen, mass) - mean
    variance = ratio(squared, mass) - mean**2
    constant = variance <= 1e-12 * ratio(squared, mass)
    deviation = torch.where(constant, 0.0, variance.clamp_min(0)).sqrt()
    return Balanced(ratio(weighted, mass), difference, ratio(difference, deviation))
