"""Metrics that are ratios of sums over rows: bias, calibration at large, log loss, RMSE."""

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights

__all__ = [
    "log_loss",
    "mean_bias",
    "normalised_entropy",
    "pcoc",
    "probability_loss",
    "ratio",
    "relative_bias",
    "rmse",
]

_TINY = 1e-12


def ratio(top: Tensor, bottom: Tensor) -> Tensor:
    """``top / bottom``, NaN where the bottom is not positive."""
    return torch.where(bottom > 0, top / bottom, torch.nan)


def probability_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """``(N,)`` float64 cross-entropy of each row, in nats, from probabilities.

    Predictions are kept 1e-12 away from 0 and 1, so that a sure one that is wrong costs 27.6. The
    loss is linear in the target, which may be a debiased pseudo-label outside [0, 1].
    """
    safe = prediction.double().clamp(_TINY, 1 - _TINY)
    return -(target * torch.log(safe) + (1 - target) * torch.log1p(-safe))


def binary_entropy(rate: Tensor) -> Tensor:
    """Entropy of a Bernoulli draw, in nats; 0 at 0 and 1."""
    return -(torch.xlogy(rate, rate) + torch.xlogy(1 - rate, 1 - rate))


def _rows(prediction: Array, target: Array, weight: Array | None) -> tuple[Tensor, Tensor, Tensor]:
    predicted, targets = float_rows(prediction=prediction, target=target)
    return predicted, targets, row_weights(weight, predicted)


def mean_bias(prediction: Array, target: Array, weight: Array | None = None) -> Tensor:
    """Mean prediction less mean target.

    All functions of this file that take a weight have these arguments, result and errors.

    Args:
        prediction: ``(N,)`` predicted probabilities.
        target: ``(N,)`` labels or true probabilities.
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        A float64 scalar; NaN without rows.

    Raises:
        DataError: NaN, or columns of different lengths.
    """
    predicted, targets, mass = _rows(prediction, target, weight)
    return ratio((mass * (predicted - targets)).sum(), mass.sum())


def pcoc(prediction: Array, target: Array, weight: Array | None = None) -> Tensor:
    """Predicted over observed: 1 is right on average.

    Returns:
        A float64 scalar; NaN where the target has no mass.

    >>> pcoc(torch.tensor([0.2, 0.4]), torch.tensor([0.0, 1.0]))
    tensor(0.6000, dtype=torch.float64)
    """
    predicted, targets, mass = _rows(prediction, target, weight)
    return ratio((mass * predicted).sum(), (mass * targets).sum())


def relative_bias(prediction: Array, target: Array, weight: Array | None = None) -> Tensor:
    """Mean prediction over mean target, minus 1; +0.3 is 30% too high; NaN as for `pcoc`."""
    return pcoc(prediction, target, weight) - 1


def log_loss(prediction: Array, target: Array, weight: Array | None = None) -> Tensor:
    """Mean cross-entropy in nats; against true probabilities its expectation over the labels.

    Predictions are kept 1e-12 away from 0 and 1.
    """
    predicted, targets, mass = _rows(prediction, target, weight)
    return ratio((mass * probability_loss(predicted, targets)).sum(), mass.sum())


def normalised_entropy(prediction: Array, target: Array, weight: Array | None = None) -> Tensor:
    """Log loss over that of always predicting the base rate; below 1 is better than that.

    He et al., Practical Lessons from Predicting Clicks on Ads at Facebook (ADKDD 2014).

    Returns:
        A float64 scalar; NaN without rows, or where the base rate is 0 or 1.
    """
    predicted, targets, mass = _rows(prediction, target, weight)
    base = binary_entropy(ratio((mass * targets).sum(), mass.sum()))
    return ratio(log_loss(predicted, targets, mass), base)


def rmse(prediction: Array, target: Array, weight: Array | None = None) -> Tensor:
    """Root mean squared distance to the target, which should be the true probability."""
    predicted, targets, mass = _rows(prediction, target, weight)
    return ratio((mass * (predicted - targets) ** 2).sum(), mass.sum()).sqrt()
