"""Sensitivity of the mean CVR over all impressions to a dependence of click and conversion.

psi is the odds ratio of click and potential conversion given the features: 1 without hidden
confounding, above 1 where users who would convert click more often. A log does not identify it.
"""

import math
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd

from mtl_seq.errors import rows_text
from mtl_seq.functional import sensitivity_curve, sensitivity_interval, tipping_point
from mtl_seq.records import FloatArray, Scores
from mtl_seq.report.compute.overlap import LEAST_PROPENSITY
from mtl_seq.report.compute.serialise import NUMBER, TEXT, make_frame

__all__ = ["GAMMAS", "ODDS_RATIO_COLUMNS", "TOLERATED", "Sensitivity", "sensitivity"]

GAMMAS = (1.5, 2.0, 3.0)
"""Largest odds ratios for which a range of the mean CVR is reported."""

TOLERATED = 0.1
"""Relative bias whose odds ratios are reported for each model."""

ODDS_RATIO_COLUMNS = {
    "model": TEXT,
    **dict.fromkeys(("mean_pcvr", "psi_unbiased", "psi_low", "psi_high", "psi_tie"), NUMBER),
    "reason": TEXT,
}

_REACH = 5.0


class Sensitivity(NamedTuple):
    """The mean CVR over all impressions by assumed odds ratio, and its tipping points.

    Attributes:
        base: Model whose pCTR and pCTCVR the curve is computed from.
        psi: ``(S,)`` odds ratios, ascending; empty where there is no curve.
        mean: ``(S,)`` mean CVR over all impressions at each.
        ranges: By largest odds ratio G, the mean CVR's range for odds ratios in [1/G, G].
        worst: Its range without any assumption.
        models: A row per model, columns `ODDS_RATIO_COLUMNS`: its mean pCVR, the odds ratio at
            which that is unbiased, the range of odds ratios at which its relative bias is
            tolerated, and the odds ratio at which its bias is as large as the control's. NaN where
            there is no such odds ratio.
        control: The model that the others are compared with; None without one.
        reason: Why there is no curve; None where there is one.
    """

    base: str
    psi: FloatArray
    mean: FloatArray
    ranges: dict[float, tuple[float, float]]
    worst: tuple[float, float]
    models: Annotated[pd.DataFrame, ODDS_RATIO_COLUMNS]
    control: str | None
    reason: str | None


def sensitivity(
    base: str,
    identified: Scores,
    predictions: Mapping[str, Scores],
    control: str | None,
    *,
    tolerated: float = TOLERATED,
) -> Sensitivity:
    """Compute the curve, its ranges and tipping points.

    pCTR and pCTCVR of `identified`, which are those of `base`, are taken for what the log
    identifies; the mean pCVR of each of `predictions` is compared with the curve. There is none,
    but a reason, where pCTCVR is above pCTR.
    """
    p, t = identified.pctr, identified.pctcvr
    means = {name: float(scores.pcvr.mean()) for name, scores in predictions.items()}
    worst = (float(t.mean()), float((t + 1 - p).mean()))
    above = t > p * (1 + 1e-6)
    if above.any():
        rows = np.flatnonzero(above)
        reason = (
            f"pctcvr of {base} is above its pctr in {rows_text(rows, len(rows))}, so it is no "
            "probability of a click and a conversion"
        )
        empty = np.zeros(0)
        undefined = [(name, mean, *[math.nan] * 4, reason) for name, mean in means.items()]
        table = make_frame(undefined, ODDS_RATIO_COLUMNS)
        return Sensitivity(base, empty, empty, {}, worst, table, control, reason)
    p = np.maximum(p, LEAST_PROPENSITY)
    t = np.minimum(t, p)
    curve = sensitivity_curve(p, t, gamma=_REACH, points=61)
    ranges = {}
    for gamma in GAMMAS:
        ends = sensitivity_interval(p, t, gamma)
        ranges[gamma] = (float(ends.low), float(ends.high))
    records = []
    for name, mean in means.items():
        # The higher the true mean, the lower the bias and the lower psi.
        unbiased = tipping_point(p, t, mean)
        low = tipping_point(p, t, mean / (1 - tolerated)).psi
        high = tipping_point(p, t, mean / (1 + tolerated)).psi
        tie = math.nan
        if control is not None and name != control:
            tie = tipping_point(p, t, (mean + means[control]) / 2).psi
        records.append((name, mean, unbiased.psi, low, high, tie, unbiased.reason))
    table = make_frame(records, ODDS_RATIO_COLUMNS)
    return Sensitivity(
        base, curve.psi.numpy(), curve.mean.numpy(), ranges, worst, table, control, None
    )
