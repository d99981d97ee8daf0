"""Bias within groups: of a column (user groups, items, positions), and by propensity decile."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import SchemaError
from mtl_seq.records import FloatArray, FunnelTruth
from mtl_seq.report.compute.bootstrap import (
    CellSums,
    IntArray,
    Sampling,
    cell_sums,
    percentiles,
    ratio,
)
from mtl_seq.report.compute.metrics import EvaluationTarget, Predictions
from mtl_seq.report.compute.serialise import COUNT, NUMBER, TEXT, make_frame
from mtl_seq.schema import Schema

__all__ = [
    *("SEGMENT_COLUMNS", "DecileBias", "Segmentation", "deciles", "equal_mass", "segment_table"),
    "segmentation",
]

SEGMENT_COLUMNS = {
    **dict.fromkeys(("by", "segment", "model", "quantity", "space"), TEXT),
    **dict.fromkeys(("rows", "users"), COUNT),
    **dict.fromkeys(("predicted", "target", "relative_bias", "low", "high"), NUMBER),
    **dict.fromkeys(("small", "reason"), TEXT),
}

_DECILES = 10
_SHOWN = 12
_RARE = 0.01
_FIFTHS = 5
_FEW_POSITIVES, _FEW_USERS = 30, 20


class Segmentation(NamedTuple):
    """The groups of a column.

    Attributes:
        by: The column.
        names: The groups: ascending where they are numbers, else the largest first; those that are
            pooled last.
        cell: ``(N,)`` group of each row.
    """

    by: str
    names: tuple[str, ...]
    cell: NDArray[np.int64]


def segmentation(log: pd.DataFrame, by: str, schema: Schema) -> Segmentation:
    """Group the rows by a column, which must be neither a label nor of lists.

    Groups of less than 1% of the rows, and those beyond the 12 largest, are pooled into one.
    Continuous numbers (a dense feature or a float, of more than 12 values) are cut into fifths.
    """
    if by not in log.columns:
        raise SchemaError(f"`by` must name a column of the log, found {by!r}: {list(log.columns)}")
    if by in schema.labels.values():
        raise SchemaError(
            f"`by` must not be a label, found {by!r}: metrics on clicks are reported anyway"
        )
    values = log[by]
    if by in schema.bags or (values.dtype == object and values.map(_is_list).any()):
        raise SchemaError(f"`by` must hold one value per row, found lists in {by!r}")
    numeric = pd.api.types.is_numeric_dtype(values.dtype)
    if numeric and (by in schema.dense or values.dtype.kind == "f") and values.nunique() > _SHOWN:
        values = _fifths(values)
        numeric = False
        order = [*values.cat.categories]
    else:
        sizes = values.value_counts(dropna=True)
        frequent = sizes.index[:_SHOWN][sizes.iloc[:_SHOWN].to_numpy() >= _RARE * len(log)]
        order = sorted(frequent) if numeric else list(frequent)
    cell = np.full(len(log), -1, dtype=np.int64)
    for index, value in enumerate(order):
        cell[(values == value).to_numpy(dtype=bool, na_value=False)] = index
    names = [_text(value) for value in order]
    missing = values.isna().to_numpy()
    if missing.any():
        cell[missing] = len(names)
        names.append("(missing)")
    rest = cell < 0
    if rest.any():
        count = log.loc[rest, by].nunique()
        cell[rest] = len(names)
        names.append(f"(other: {count:,} {'value' if count == 1 else 'values'})")
    return Segmentation(by, tuple(names), cell)


def segment_table(
    parts: Sequence[Segmentation],
    predictions: Predictions,
    targets: Sequence[EvaluationTarget],
    sampling: Sampling,
) -> pd.DataFrame:
    """Relative bias of every model in every group.

    A row per grouping, group, model and target, columns `SEGMENT_COLUMNS`: ``rows`` and ``users``
    of the space within the group, means of prediction and target, their ratio minus 1 with its
    interval, ``small`` (why the group is too small to rely on, or None) and ``reason`` (why there
    is no value, or None). Groups of one grouping add up to all rows of the space.
    """
    records = []
    for part in parts:
        for one in targets:
            predicted = (quantities[one.quantity] for quantities in predictions.values())
            columns = np.stack([np.ones_like(one.target), one.target, *predicted], axis=1)
            cell = np.where(one.rows, part.cell, -1)
            sums, bias, low, high = _bias(columns, cell, len(part.names), sampling)
            means = ratio(sums.total, sums.total[:, :1])
            for at, name in enumerate(part.names):
                rows, positives, users = sums.total[at, 0], sums.total[at, 1], sums.users[at]
                small = _small(rows, positives, int(users), one.target)
                for index, model in enumerate(predictions):
                    key = (part.by, name, model, one.quantity, one.space)
                    estimate = (bias[at, index], low[at, index], high[at, index])
                    counts = (int(rows), int(users), means[at, 2 + index], means[at, 1])
                    reason = None if np.isfinite(bias[at, index]) else _reason(rows)
                    records.append((*key, *counts, *estimate, small, reason))
    return make_frame(records, SEGMENT_COLUMNS)


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
    sums, *estimates = _bias(columns, cell, int(cell.max()) + 1, sampling, target=2)
    by_model = [dict(zip(pcvr, values.T, strict=True)) for values in estimates]
    return DecileBias(sums.total[:, 1] / sums.total[:, 0], *by_model)


def equal_mass(values: FloatArray, bins: int) -> NDArray[np.int64]:
    """Codes from 0 of bins of equal mass, cut as by `calibration_bins`; ties share a bin."""
    ranked = np.sort(values)
    cuts = np.unique(ranked[np.arange(1, bins) * len(values) // bins])
    return np.unique(np.searchsorted(cuts, values, side="right"), return_inverse=True)[1]


def _bias(
    columns: FloatArray, cell: IntArray, cells: int, sampling: Sampling, target: int = 1
) -> tuple[CellSums, FloatArray, FloatArray, FloatArray]:
    """Sums within cells, and the bias with its interval of the columns right of the target's."""
    sums = cell_sums(columns, cell, cells, sampling)
    at, models = slice(target, target + 1), slice(target + 1, None)
    bias = ratio(sums.total[:, models], sums.total[:, at]) - 1
    low, high = percentiles(ratio(sums.drawn[..., models], sums.drawn[..., at]) - 1)
    return sums, bias, low, high


def _fifths(values: pd.Series) -> pd.Series:
    cut = pd.qcut(values, _FIFTHS, duplicates="drop")
    edges = [(max(one.left, values.min()), one.right) for one in cut.cat.categories]
    for digits in range(3, 18):
        names = [f"{low:.{digits}g} to {high:.{digits}g}" for low, high in edges]
        if len(set(names)) == len(names):
            break
    return cut.cat.rename_categories(names)


def _small(rows: float, positives: float, users: int, target: FloatArray) -> str | None:
    if rows == 0:
        return None
    if users < _FEW_USERS:
        return f"{users} {'user' if users == 1 else 'users'}"
    # Probabilities as targets carry no label noise.
    drawn = bool(np.isin(target, (0, 1)).all())
    if not drawn or positives >= _FEW_POSITIVES:
        return None
    return f"{positives:.0f} {'positive' if positives == 1 else 'positives'}"


def _reason(rows: float) -> str:
    return "no rows" if rows == 0 else "no positive"


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray | dict | set)
