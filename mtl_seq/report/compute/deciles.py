"""What follows from several models' figures together, or from several rows' weights."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.records import FunnelTruth
from mtl_seq.report.compute.grouped_sums import Sampling, cell_sums, percentiles, ratio

__all__ = ["Decile", "deciles", "equal_mass", "gap_closed", "gap_replicates"]

FloatArray = NDArray[np.float64]

_DECILES = 10


class Decile(NamedTuple):
    """Predicted against true CVR by decile of the propensity, ``(10,)`` or fewer.

    Attributes:
        propensity: Mean propensity of the decile.
        relative_bias: By model, mean prediction over mean truth, minus 1.
        low: By model, the lower end of its interval; NaN where none was drawn.
        high: By model, the upper end.
    """

    propensity: FloatArray
    relative_bias: dict[str, FloatArray]
    low: dict[str, FloatArray]
    high: dict[str, FloatArray]


def deciles(
    pcvr: Mapping[str, FloatArray], truth: FunnelTruth, sampling: Sampling | None = None
) -> Decile:
    """Relative bias of predicted CVR within deciles of the true propensity, on all impressions.

    Args:
        pcvr: By model, ``(N,)`` predictions.
        truth: The truth of the same rows.
        sampling: How the intervals are drawn; by default there are none.

    Returns:
        The deciles; propensities that tie at a cut share one, so fewer may come back.
    """
    cell = equal_mass(truth.pctr, _DECILES)
    sampling = sampling or Sampling(np.zeros(len(cell), dtype=np.int64), 0, 0)
    columns = np.stack([np.ones_like(truth.pctr), truth.pctr, truth.pcvr, *pcvr.values()], axis=1)
    sums = cell_sums(columns, cell, int(cell.max()) + 1, sampling)
    bias = ratio(sums.total[:, 3:], sums.total[:, 2:3]) - 1
    low, high = percentiles(ratio(sums.drawn[..., 3:], sums.drawn[..., 2:3]) - 1)
    found = [dict(zip(pcvr, values.T, strict=True)) for values in (bias, low, high)]
    return Decile(sums.total[:, 1] / sums.total[:, 0], *found)


def equal_mass(values: FloatArray, bins: int) -> NDArray[np.int64]:
    """Codes from 0 of bins of equal mass, cut as by `calibration_bins`; ties share a bin."""
    ranked = np.sort(values)
    cuts = np.unique(ranked[np.arange(1, bins) * len(values) // bins])
    return np.unique(np.searchsorted(cuts, values, side="right"), return_inverse=True)[1]


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


def gap_replicates(
    twins: Mapping[str, FloatArray], naive: str, oracle: str
) -> dict[str, FloatArray]:
    """The share of `gap_closed` in each resample, by model: ``(R,)``."""
    width = twins[naive] - twins[oracle]
    return {name: ratio(twins[naive] - loss, width) for name, loss in twins.items()}
