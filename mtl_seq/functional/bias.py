"""Calibration by bins of equal mass."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CalibrationBins", "calibration_bins", "expected_calibration_error"]


class CalibrationBins(NamedTuple):
    """Means within bins of equal mass: ``(M,)`` each.

    Attributes:
        rows: How many rows are in the bin.
        predicted: Mean prediction.
        observed: Mean label.
    """

    rows: Tensor
    predicted: Tensor
    observed: Tensor


def calibration_bins(
    prediction: Tensor, label: Tensor, *, by: Tensor | None = None, bins: int = 20
) -> CalibrationBins:
    """Cut the rows into bins of equal mass and average prediction and label within each.

    Args:
        prediction: ``(N,)`` predicted probabilities.
        label: ``(N,)`` labels or true probabilities.
        by: What to cut on, for example the propensity; the prediction by default. Rows that tie
            at a cut share a bin, so fewer than `bins` may come back.
        bins: How many bins, at least 1.

    Returns:
        The bins in ascending order of `by`; empty ones are left out.
    """
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1, found {bins}")
    prediction, label = prediction.double(), label.double()
    key = (prediction if by is None else by).contiguous()
    if key.numel() == 0:
        none = prediction.new_zeros(0)
        return CalibrationBins(none, none, none)
    ranked = torch.sort(key).values
    at = (torch.arange(1, bins, device=key.device) * key.numel()) // bins
    index = torch.bucketize(key, torch.unique(ranked[at]), right=True)
    rows = torch.bincount(index, minlength=bins).double()
    kept = rows > 0
    predicted = torch.bincount(index, prediction, minlength=bins)
    observed = torch.bincount(index, label, minlength=bins)
    rows = rows[kept]
    return CalibrationBins(rows, predicted[kept] / rows, observed[kept] / rows)


def expected_calibration_error(prediction: Tensor, label: Tensor, *, bins: int = 20) -> Tensor:
    """Mean distance between prediction and label over bins of equal mass.

    Against a true probability it is 0 for the truth itself; against drawn labels it is not, since
    the draws scatter within each bin.

    Args:
        prediction: ``(N,)`` predicted probabilities.
        label: ``(N,)`` labels or true probabilities.
        bins: How many bins.

    Returns:
        A float64 scalar; NaN for no rows.
    """
    found = calibration_bins(prediction, label, bins=bins)
    distance = (found.rows * (found.predicted - found.observed).abs()).sum()
    return distance / found.rows.sum()
