"""Calibration by bins of equal mass."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights
from mtl_seq.functional.pointwise import ratio

__all__ = [
    "CalibrationBins",
    "calibration_bins",
    "expected_calibration_error",
    "expected_null_ece",
]

_RARE = 1e-12


class CalibrationBins(NamedTuple):
    """Means within bins of equal mass: ``(M,)`` each, float64.

    Attributes:
        rows: Mass of the bin: how many rows are in it, or the sum of their weights.
        predicted: Mean prediction.
        observed: Mean label.
    """

    rows: Tensor
    predicted: Tensor
    observed: Tensor


def calibration_bins(
    prediction: Array,
    label: Array,
    *,
    by: Array | None = None,
    bins: int = 20,
    weight: Array | None = None,
) -> CalibrationBins:
    """Cut the rows into bins of equal mass and average prediction and label within each.

    Args:
        prediction: ``(N,)`` predicted probabilities.
        label: ``(N,)`` labels or true probabilities.
        by: What to cut on, for example the propensity; the prediction by default. Rows that tie
            at a cut share a bin, so fewer than `bins` may come back.
        bins: How many bins, at least 1.
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        The bins in ascending order of `by`; empty ones are left out.
    """
    predicted, labels = float_rows(prediction=prediction, label=label)
    mass = row_weights(weight, predicted)
    (key,) = (predicted,) if by is None else float_rows(by=by)
    index = _bin_of(key, mass, bins)
    rows = torch.bincount(index, mass, minlength=bins)
    kept = rows > 0
    sums = (torch.bincount(index, mass * part, minlength=bins) for part in (predicted, labels))
    rows = rows[kept]
    return CalibrationBins(rows, *(total[kept] / rows for total in sums))


def _bin_of(key: Tensor, mass: Tensor, bins: int) -> Tensor:
    """The bin of each row: cut where the mass of lower keys exceeds i / bins of the total."""
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1, found {bins}")
    if key.numel() == 0:
        return torch.zeros(0, dtype=torch.int64, device=key.device)
    if bool((mass == 1).all()):  # values sort several times faster than positions
        ranked = torch.from_numpy(np.sort(key.numpy(force=True))).to(key.device)
        at = (torch.arange(1, bins, device=key.device) * key.numel()) // bins
    else:
        ranked, order = torch.sort(key)
        passed = torch.cumsum(mass[order], 0)
        steps = torch.arange(1, bins, device=key.device, dtype=torch.float64) * passed[-1] / bins
        at = torch.searchsorted(passed, steps, right=True).clamp_max(key.numel() - 1)
    return torch.bucketize(key, torch.unique(ranked[at]), right=True)


def expected_calibration_error(
    prediction: Array, label: Array, *, bins: int = 20, weight: Array | None = None
) -> Tensor:
    """Mean distance between prediction and label over bins of equal mass.

    Against a true probability it is 0 for the truth itself; against drawn labels it is not, since
    the draws scatter within each bin: `expected_null_ece` is what to expect of it then.
    The arguments are those of `calibration_bins`.

    Returns:
        A float64 scalar; NaN for no rows.
    """
    rows, predicted, observed = calibration_bins(prediction, label, bins=bins, weight=weight)
    return ratio((rows * (predicted - observed).abs()).sum(), rows.sum())


def expected_null_ece(
    prediction: Array, *, bins: int = 20, weight: Array | None = None, square: Array | None = None
) -> Tensor:
    """Expected calibration error against drawn labels if every prediction is the truth.

    Labels drawn from the predictions scatter about them, so that the error of a perfect model is
    not 0. The number of positives of a bin is taken for the binomial of the same mean and variance,
    whose mean absolute deviation has de Moivre's closed form; it is exact where predictions and
    weights of a bin are equal, and becomes Poisson's for rare positives and the normal's for many.

    Args:
        prediction: ``(N,)`` predicted probabilities.
        bins: How many bins.
        weight: ``(N,)`` non-negative weights of the rows.
        square: ``(N,)`` sums of squared weights, where a row stands for several; by default the
            square of `weight`.

    Returns:
        A float64 scalar; NaN for no rows.
    """
    (predicted,) = float_rows(prediction=prediction)
    mass = row_weights(weight, predicted)
    squares = mass**2 if square is None else row_weights(square, predicted)
    index = _bin_of(predicted, mass, bins)
    spread = predicted * (1 - predicted)
    mean, scatter, variance = (
        torch.bincount(index, part, minlength=bins)
        for part in (mass * predicted, mass * spread, squares * spread)
    )
    scale = torch.where(scatter > 0, variance / scatter, 0.0)  # the weight of a row, on average
    deviation = [
        unit * _mean_deviation(positives / unit, noise / unit) if unit > 0 else 0.0
        for unit, positives, noise in zip(
            scale.tolist(), mean.tolist(), scatter.tolist(), strict=True
        )
    ]
    return ratio(torch.tensor(sum(deviation), dtype=torch.float64), mass.sum())


def _mean_deviation(mean: float, variance: float) -> float:
    """``E|X - mean|`` of the binomial with this mean and variance; trials need not be whole."""
    hit = 1 - variance / mean
    if hit > 0.5:  # count the misses, whose chance is known without cancellation
        trials, chance = mean / hit, variance / mean
        mean = trials * chance
    elif hit > _RARE:
        trials, chance = mean / hit, hit
    else:
        trials, chance = math.inf, 0.0
    whole = math.floor(mean)
    log_tail = (whole + 1) * math.log(mean) - math.lgamma(whole + 1)
    if math.isinf(trials):
        return 2 * math.exp(log_tail - mean)
    if trials <= whole:
        return 0.0
    falling = math.lgamma(trials + 1) - math.lgamma(trials - whole)
    return 2 * math.exp(
        log_tail + falling - (whole + 1) * math.log(trials) + (trials - whole) * math.log1p(-chance)
    )
