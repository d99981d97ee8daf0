"""What follows from several models' figures together, or from several rows' weights."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_seq.functional import calibration_bins
from mtl_seq.records import FunnelTruth

__all__ = ["Decile", "deciles", "effective_size", "gap_closed"]

FloatArray = NDArray[np.float64]

_DECILES = 10


class Decile(NamedTuple):
    """Predicted against true CVR by decile of the propensity, ``(10,)`` or fewer.

    Attributes:
        propensity: Mean propensity of the decile.
        relative_bias: By model, mean prediction over mean truth, minus 1.
    """

    propensity: FloatArray
    relative_bias: dict[str, FloatArray]


def deciles(pcvr: Mapping[str, FloatArray], truth: FunnelTruth) -> Decile:
    """Relative bias of predicted CVR within deciles of the true propensity, on all impressions."""
    propensity = torch.from_numpy(truth.pctr.copy())
    target = torch.from_numpy(truth.pcvr.copy())
    mean = calibration_bins(propensity, propensity, bins=_DECILES).predicted.numpy()
    bias = {}
    for name, predicted in pcvr.items():
        values = torch.from_numpy(predicted.copy())
        found = calibration_bins(values, target, by=propensity, bins=_DECILES)
        bias[name] = (found.predicted / found.observed - 1).numpy()
    return Decile(mean, bias)


def gap_closed(
    losses: Mapping[str, float], twins: Mapping[str, FloatArray], naive: str, oracle: str
) -> dict[str, tuple[float, str | None]]:
    """Share of the log loss between the naive model and the oracle that each model closes.

    Args:
        losses: Entire-space log loss by model.
        twins: Its resampled values, paired over models.
        naive: Model at the far end.
        oracle: Model at the near end.

    Returns:
        By model, the share (1 for the oracle, 0 for the naive) and why it is NaN where it is:
        the two ends must lie two standard errors apart. Empty where an end is missing.
    """
    if naive not in losses or oracle not in losses:
        return {}
    width = losses[naive] - losses[oracle]
    error = float(np.nanstd(twins[naive] - twins[oracle]))
    if not width >= 2 * error:
        reason = f"naive and oracle differ by {width:.2g} log loss, under two standard errors"
        return dict.fromkeys(losses, (math.nan, reason))
    return {name: ((losses[naive] - loss) / width, None) for name, loss in losses.items()}


def effective_size(propensity: FloatArray, click: FloatArray) -> float:
    """``(sum w)^2 / sum w^2`` of the weights ``click / propensity``; NaN without clicks."""
    weight = click / np.maximum(propensity, 1e-12)
    return float(weight.sum() ** 2 / (weight**2).sum()) if click.any() else math.nan
