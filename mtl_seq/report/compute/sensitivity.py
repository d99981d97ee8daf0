"""What the mean CVR over all impressions could be, were clicks and conversions tied.

psi is the odds ratio between click and potential conversion given the features: 1 where nothing
hidden moves both, above 1 where clicks pick out those who would convert. A log cannot tell it.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import rows_text
from mtl_seq.functional import sensitivity_curve, sensitivity_interval, tipping_point
from mtl_seq.records import Scores
from mtl_seq.report.compute.overlap import LEAST_PROPENSITY

__all__ = ["ASSUMED_COLUMNS", "GAMMAS", "Sensitivity", "sensitivity"]

FloatArray = NDArray[np.float64]

GAMMAS = (1.5, 2.0, 3.0)
"""Largest odds ratios for which a range of the mean CVR is printed."""

TOLERATED = 0.1
"""Relative bias whose odds ratios are printed for each model."""

ASSUMED_COLUMNS = (
    *("model", "mean_pcvr", "psi_unbiased", "psi_low", "psi_high", "psi_tie", "reason"),
)

_REACH = 5.0


class Sensitivity(NamedTuple):
    """The mean CVR over all impressions by assumed odds ratio, and what it means for each model.

    Attributes:
        base: Whose pCTR and pCTCVR, which a log identifies, the curve is computed from.
        psi: ``(S,)`` odds ratios, ascending; empty where there is no curve.
        mean: ``(S,)`` mean CVR over all impressions at each.
        ranges: By largest odds ratio G, the mean CVR's range for odds ratios in [1/G, G].
        worst: Its range if nothing is assumed.
        models: A row per model, columns `ASSUMED_COLUMNS`: its mean pCVR, the odds ratio at which
            that is right, the range of odds ratios at which its relative bias is tolerated, and
            the odds ratio at which it and the control are equally far off. NaN where no odds ratio
            does it.
        control: The model the last of these is about; None without one.
        reason: Why there is no curve; None where there is one.
    """

    base: str
    psi: FloatArray
    mean: FloatArray
    ranges: dict[float, tuple[float, float]]
    worst: tuple[float, float]
    models: pd.DataFrame
    control: str | None
    reason: str | None


def sensitivity(
    base: str,
    known: Scores,
    predictions: Mapping[str, Scores],
    control: str | None,
    *,
    tolerated: float = TOLERATED,
) -> Sensitivity:
    """Compute the curve, its ranges and tipping points.

    Args:
        base: Whose pCTR and pCTCVR are taken for what the log identifies.
        known: They.
        predictions: By model, of which the mean pCVR is read.
        control: Model to hold the others against; None for none.
        tolerated: Relative bias, in (0, 1), whose odds ratios are found for each model.

    Returns:
        The findings; without a curve, and with the reason, where `known` is no joint of a click.
    """
    p, t = known.pctr, known.pctcvr
    means = {name: float(own.pcvr.mean()) for name, own in predictions.items()}
    worst = (float(t.mean()), float((t + 1 - p).mean()))
    above = t > p * (1 + 1e-6)
    if above.any():
        rows = np.flatnonzero(above)
        reason = (
            f"pctcvr of {base} is above its pctr in {rows_text(rows, len(rows))}, so it is no "
            "probability of a click and a conversion"
        )
        nothing = np.zeros(0)
        table = _table([(name, m, *[math.nan] * 4, reason) for name, m in means.items()])
        return Sensitivity(base, nothing, nothing, {}, worst, table, control, reason)
    p = np.maximum(p, LEAST_PROPENSITY)
    t = np.minimum(t, p)
    curve = sensitivity_curve(p, t, gamma=_REACH, points=61)
    ranges = {}
    for gamma in GAMMAS:
        ends = sensitivity_interval(p, t, gamma)
        ranges[gamma] = (float(ends.low), float(ends.high))
    records: list[tuple[object, ...]] = []
    for name, mean in means.items():
        # The higher the true mean, the lower the bias and the lower psi.
        at = tipping_point(p, t, mean)
        low = tipping_point(p, t, mean / (1 - tolerated)).psi
        high = tipping_point(p, t, mean / (1 + tolerated)).psi
        tie = math.nan
        if control is not None and name != control:
            tie = tipping_point(p, t, (mean + means[control]) / 2).psi
        records.append((name, mean, at.psi, low, high, tie, at.reason))
    psi, means_at = curve.psi.numpy(), curve.mean.numpy()
    return Sensitivity(base, psi, means_at, ranges, worst, _table(records), control, None)


def _table(records: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(records, columns=list(ASSUMED_COLUMNS))
