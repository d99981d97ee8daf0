"""Predictions as they come from anywhere, checked before anything is computed from them."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError, rows_text

__all__ = ["QUANTITIES", "Scores", "check_scores"]

FloatArray = NDArray[np.float64]

QUANTITIES = ("pctr", "pcvr", "pctcvr")


class Scores(NamedTuple):
    """One model's predictions, ``(N,)`` float64 in [0, 1]."""

    pctr: FloatArray
    pcvr: FloatArray
    pctcvr: FloatArray


def check_scores(
    scores: Mapping[str, pd.DataFrame], log: pd.DataFrame, *, reserved: Collection[str] = ()
) -> dict[str, Scores]:
    """Predictions by model as arrays, in the order of the log.

    Args:
        scores: By model, a frame with columns ``pctr``, ``pcvr`` and ``pctcvr``.
        log: The rows they were made for.
        reserved: Names that no model may have.

    Returns:
        The same as arrays.

    Raises:
        DataError: No model, a reserved name, missing columns, rows that are not the log's, or
            values that are no probabilities.
    """
    if not isinstance(scores, Mapping):
        raise DataError(
            f"`scores` must be a dict of frames by model, found {type(scores).__name__}: "
            "{'my model': frame}"
        )
    if not scores:
        raise DataError("`scores` must hold at least one model's predictions, found none")
    for name in scores:
        if name in reserved:
            raise DataError(f"no model may have the name {name!r} of a reference row: rename it")
    return {name: _check(name, frame, log) for name, frame in scores.items()}


def _check(name: str, frame: pd.DataFrame, log: pd.DataFrame) -> Scores:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"predictions of {name!r} must be a DataFrame with columns {QUANTITIES}, found "
            f"{type(frame).__name__}"
        )
    absent = [column for column in QUANTITIES if column not in frame.columns]
    if absent:
        found = [column for column in frame.columns if str(column).startswith("true_")]
        hint = "this is a truth, not predictions" if found else f"found {list(frame.columns)}"
        raise DataError(f"predictions of {name!r} must have the columns {absent}: {hint}")
    if len(frame) != len(log):
        raise DataError(
            f"predictions of {name!r} must have one row per row of the log, {len(log):,}, "
            f"found {len(frame):,}"
        )
    if not frame.index.equals(log.index):
        other = np.flatnonzero(frame.index.to_numpy() != log.index.to_numpy())
        raise DataError(
            f"predictions of {name!r} must have the log's index; they differ in "
            f"{rows_text(log.index[other], len(other))}: reindex them to the log"
        )
    columns = [frame[column].to_numpy(dtype=np.float64, na_value=np.nan) for column in QUANTITIES]
    for column, values in zip(QUANTITIES, columns, strict=True):
        missing = np.isnan(values)
        if missing.any():
            where = rows_text(log.index[missing], int(missing.sum()))
            raise DataError(f"{column} of {name!r} is NaN in {where}")
        outside = (values < 0) | (values > 1)
        if outside.any():
            where = rows_text(log.index[outside], int(outside.sum()))
            logits = outside.mean() > 0.2
            hint = "they look like logits: pass their sigmoid" if logits else "mend those rows"
            raise DataError(
                f"{column} of {name!r} must lie in [0, 1], found {values.min():.4g} to "
                f"{values.max():.4g} in {where}: {hint}"
            )
    return Scores(*columns)
