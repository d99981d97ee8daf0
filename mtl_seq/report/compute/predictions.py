"""Validation of predictions."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError, rows_text
from mtl_seq.records import FloatArray, Scores
from mtl_seq.report.compute.alignment import (
    QUANTITIES,
    Columns,
    Source,
    align_rows,
    column_names,
    prediction_frame,
)

__all__ = ["check_scores"]

_MANY = 0.2


def check_scores(
    scores: Mapping[str, Source],
    log: pd.DataFrame,
    *,
    reserved: Collection[str] = (),
    columns: Columns | None = None,
    row_id: str | None = None,
) -> dict[str, Scores]:
    """Validated predictions by model as arrays, in the order of the log.

    Arguments and errors are those of `BiasReport`; no model may have a reserved name. A quantity
    that is absent follows from pCTCVR = pCTR x pCVR.
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
    mapped = column_names(columns, list(scores))
    return {
        name: _checked(name, source, log, mapped[name], row_id) for name, source in scores.items()
    }


def _checked(
    name: str, source: Source, log: pd.DataFrame, columns: Mapping[str, str], row_id: str | None
) -> Scores:
    frame = prediction_frame(name, source, columns)
    order = align_rows(name, frame, log, row_id)
    values = {
        quantity: _values(f"{columns[quantity]} of {name!r}", frame[columns[quantity]], log, order)
        for quantity in QUANTITIES
        if columns[quantity] in frame.columns
    }
    if "pctcvr" not in values:
        values["pctcvr"] = values["pctr"] * values["pcvr"]
    if "pcvr" not in values:
        values["pcvr"] = _conditional(name, values["pctr"], values["pctcvr"], log)
    return Scores(**values)


def _values(
    what: str, column: pd.Series, log: pd.DataFrame, order: NDArray[np.int64]
) -> FloatArray:
    try:
        raw = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must hold numbers, found type {column.dtype}") from error
    values: FloatArray = raw[order]
    missing = np.isnan(values)
    if missing.any():
        where = rows_text(log.index[missing], int(missing.sum()))
        raise DataError(f"{what} is NaN in {where}")
    outside = (values < 0) | (values > 1)
    if outside.any():
        where = rows_text(log.index[outside], int(outside.sum()))
        raise DataError(
            f"{what} must lie in [0, 1], found {values.min():.4g} to {values.max():.4g} in "
            f"{where}: {_hint(values, float(outside.mean()))}"
        )
    return values


def _hint(values: FloatArray, share: float) -> str:
    if share <= _MANY:
        return "fix those rows"
    if values.min() >= 0:
        return "they look like percentages: divide them by 100"
    if values.max() <= 0:
        return "they look like logits (or logarithms): pass their sigmoid (or their exponential)"
    return "they look like logits: pass their sigmoid"


def _conditional(name: str, pctr: FloatArray, pctcvr: FloatArray, log: pd.DataFrame) -> FloatArray:
    bad = (pctcvr > pctr) | (pctr == 0)
    if bad.any():
        raise DataError(
            f"pcvr of {name!r} is absent and follows from pctcvr / pctr only where pctr is above 0 "
            f"and no smaller than pctcvr; it is not in "
            f"{rows_text(log.index[bad], int(bad.sum()))}: pass pcvr too"
        )
    ratio: FloatArray = pctcvr / pctr
    return ratio
