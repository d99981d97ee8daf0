"""Relative bias of predicted CVR by decile of the propensity."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.records import FloatArray, FunnelTruth
from mtl_seq.report.compute.bootstrap import Sampling, cell_sums, percentiles, ratio

__all__ = ["DecileBias", "deciles", "equal_mass"]

_DECILES = 10


class DecileBias(NamedTuple):
    """Predicted against true CVR by decile of the propensity, ``(10,)`` or fewer.

    Attributes:
        propensity: Mean propensity of the decile.
        relative_bias: By model, mean prediction over mean truth, minus 1.
        low: By model, the lower end of its interval; NaN without resamples.
        high: By model, the upper end.
    """

    propensity: FloatArray
    relative_bias: dict[str, FloatArray]
    low: dict[str, FloatArray]
    high: dict[str, FloatArray]


def deciles(
    pcvr: Mapping[str, FloatArray], truth: FunnelTruth, sampling: Sampling | None = None
) -> DecileBias:
    """Relative bias of predicted CVR within deciles of the true propensity, on all impressions.

    Propensities that tie at a cut share a decile, so there may be fewer than ten. By default there
    are no intervals.
    """
    cell = equal_mass(truth.pctr, _DECILES)
    sampling = sampling or Sampling(np.zeros(len(cell), dtype=np.int64), 0, 0)
    columns = np.stack([np.ones_like(truth.pctr), truth.pctr, truth.pcvr, *pcvr.values()], axis=1)
    sums = cell_sums(columns, cell, int(cell.max()) + 1, sampling)
    bias = ratio(sums.total[:, 3:], sums.total[:, 2:3]) - 1
    low, high = percentiles(ratio(sums.drawn[..., 3:], sums.drawn[..., 2:3]) - 1)
    by_model = [dict(zip(pcvr, values.T, strict=True)) for values in (bias, low, high)]
    return DecileBias(sums.total[:, 1] / sums.total[:, 0], *by_model)


def equal_mass(values: FloatArray, bins: int) -> NDArray[np.int64]:
    """Codes from 0 of bins of equal mass, cut as by `calibration_bins`; ties share a bin."""
    ranked = np.sort(values)
    cuts = np.unique(ranked[np.arange(1, bins) * len(values) // bins])
    return np.unique(np.searchsorted(cuts, values, side="right"), return_inverse=True)[1]
