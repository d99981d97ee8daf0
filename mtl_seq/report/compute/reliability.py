"""Reliability curves: mean prediction against mean target in bins of equal mass."""

from collections.abc import Sequence

import pandas as pd
import torch

from mtl_seq.functional import calibration_bins
from mtl_seq.report.compute.metrics import EvaluationTarget, Predictions
from mtl_seq.report.compute.serialise import COUNT, NUMBER, TEXT, make_frame

__all__ = ["RELIABILITY_COLUMNS", "reliability"]

RELIABILITY_COLUMNS = {
    **dict.fromkeys(("model", "quantity", "space"), TEXT),
    "rows": COUNT,
    **dict.fromkeys(("predicted", "observed"), NUMBER),
}

_BINS = 10


def reliability(predictions: Predictions, targets: Sequence[EvaluationTarget]) -> pd.DataFrame:
    """Mean prediction and mean target within tenths of each model's own predictions.

    A row per model, target and bin, in ascending order of the prediction, columns
    `RELIABILITY_COLUMNS`. Predictions that tie share a bin; a space without rows has none.
    """
    records = []
    for one in targets:
        target = torch.from_numpy(one.target[one.rows].copy())
        for model, quantities in predictions.items():
            predicted = torch.from_numpy(quantities[one.quantity][one.rows].copy())
            bins = calibration_bins(predicted, target, bins=_BINS)
            rows = zip(*(column.tolist() for column in bins), strict=True)
            key = (model, one.quantity, one.space)
            records += [(*key, int(count), mean, observed) for count, mean, observed in rows]
    return make_frame(records, RELIABILITY_COLUMNS)
