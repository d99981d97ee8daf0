"""Reliability curves: what was predicted against what there was, in bins of equal mass."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.functional import calibration_bins
from mtl_seq.report.compute.metrics import Question

__all__ = ["RELIABILITY_COLUMNS", "reliability"]

RELIABILITY_COLUMNS = ("model", "quantity", "space", "rows", "predicted", "observed")

_BINS = 10


def reliability(
    predictions: Mapping[str, Mapping[str, NDArray[np.float64]]], questions: Sequence[Question]
) -> pd.DataFrame:
    """Mean prediction and mean target within tenths of each model's own predictions.

    Args:
        predictions: Model -> quantity -> ``(N,)`` probabilities.
        questions: What is asked, in which space.

    Returns:
        A row per model, question and bin, in ascending order of the prediction, columns
        `RELIABILITY_COLUMNS`. Predictions that tie share a bin; a space without rows has none.
    """
    records = []
    for question in questions:
        target = torch.from_numpy(question.target[question.rows].copy())
        for model, own in predictions.items():
            predicted = torch.from_numpy(own[question.quantity][question.rows].copy())
            found = calibration_bins(predicted, target, bins=_BINS)
            rows = zip(*(column.tolist() for column in found), strict=True)
            where = (model, question.quantity, question.space)
            records += [(*where, int(count), mean, seen) for count, mean, seen in rows]
    return pd.DataFrame(records, columns=list(RELIABILITY_COLUMNS))
