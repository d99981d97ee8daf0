"""Metrics of every model in every space, from sums within users, and reliability curves."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.functional import calibration_bins, expected_calibration_error
from mtl_seq.records import FloatArray
from mtl_seq.report.compute.bootstrap import (
    RankedTarget,
    drawn_counts,
    group_sums,
    percentiles,
    ratio,
    resampled_sums,
)
from mtl_seq.report.compute.serialise import COUNT, NUMBER, TEXT, make_frame

__all__ = [
    *("KEY_COLUMNS", "METRICS", "METRIC_COLUMNS", "RELIABILITY_COLUMNS", "Estimate"),
    *("EvaluationTarget", "Measurements", "MetricKey", "Predictions", "Replicates", "measure"),
    "reliability",
]

MetricKey = tuple[str, str, str]
"""Quantity, space and metric; with a model they name one value."""

Predictions = Mapping[str, Mapping[str, FloatArray]]
"""By model and quantity, ``(N,)`` probabilities."""

Replicates = Mapping[tuple[str, str, str, str], FloatArray]
"""By model, quantity, space and metric, ``(R,)`` resampled values, paired over models."""

KEY_COLUMNS = ["model", "quantity", "space", "metric"]

METRIC_COLUMNS = {
    **dict.fromkeys(KEY_COLUMNS, TEXT),
    **dict.fromkeys(("value", "low", "high"), NUMBER),
    "reason": TEXT,
}

RELIABILITY_COLUMNS = {
    **dict.fromkeys(("model", "quantity", "space"), TEXT),
    "rows": COUNT,
    **dict.fromkeys(("predicted", "observed"), NUMBER),
}
_RELIABILITY_BINS = 10
_TINY = 1e-12
_MASS, _PREDICTED, _TARGET, _LOSS, _SQUARED = range(5)


class Estimate(NamedTuple):
    """A value and its interval; NaN where it is undefined or has none."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


class EvaluationTarget(NamedTuple):
    """What a quantity is evaluated against, in one space.

    Attributes:
        quantity: ``"pctr"``, ``"pcvr"`` or ``"pctcvr"``.
        space: ``"all"``, ``"clicks"`` or ``"non-clicks"``.
        rows: ``(N,)`` which impressions are in the space.
        target: ``(N,)`` what the prediction should be: labels, or true probabilities.
    """

    quantity: str
    space: str
    rows: NDArray[np.bool_]
    target: FloatArray


def _ratio(sums: FloatArray, top: int, bottom: int) -> FloatArray:
    return ratio(sums[..., top], sums[..., bottom])


METRICS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "relative_bias": lambda sums: _ratio(sums, _PREDICTED, _TARGET) - 1,
    "mean_bias": lambda sums: _ratio(sums, _PREDICTED, _MASS) - _ratio(sums, _TARGET, _MASS),
    "pcoc": lambda sums: _ratio(sums, _PREDICTED, _TARGET),
    "log_loss": lambda sums: _ratio(sums, _LOSS, _MASS),
    "rmse": lambda sums: np.sqrt(_ratio(sums, _SQUARED, _MASS)),
}
"""Metrics that follow from sums over rows; ``auc`` and ``ece`` are computed beside them."""


class Measurements(NamedTuple):
    """Metrics, long form with `METRIC_COLUMNS`, and the resampled values of all but ``ece``."""

    table: pd.DataFrame
    replicates: Replicates


def measure(
    predictions: Predictions,
    targets: Sequence[EvaluationTarget],
    group: NDArray[np.int64],
    *,
    replicates: int,
    seed: int,
) -> Measurements:
    """Compute every metric of every model on every target, with intervals at `LEVEL`.

    `group` holds the ``(N,)`` codes of the users, from 0, who are resampled.
    """
    groups = int(group.max()) + 1
    counts = drawn_counts(groups, replicates, seed)
    records, resampled = [], {}
    for model, quantities in predictions.items():
        order = {one.quantity: np.argsort(quantities[one.quantity]) for one in targets}
        sums = np.concatenate(
            [group_sums(_columns(quantities[one.quantity], one), group, groups) for one in targets],
            axis=1,
        )
        drawn_sums = np.split(resampled_sums(sums, counts), len(targets), axis=1)
        total_sums = np.split(sums.sum(0), len(targets))
        for target, total, drawn in zip(targets, total_sums, drawn_sums, strict=True):
            predicted, ascending = quantities[target.quantity], order[target.quantity]
            ascending = ascending[target.rows[ascending]]
            ranked = RankedTarget(predicted, target.target, group, ascending)
            values = {name: metric(total) for name, metric in METRICS.items()}
            draws = {name: metric(drawn) for name, metric in METRICS.items()}
            values["auc"], draws["auc"] = np.array(ranked.auc()), ranked.resampled(counts)
            values["ece"] = np.array(_ece(predicted, target))
            for name, value in values.items():
                key = (model, target.quantity, target.space, name)
                low, high = percentiles(draws.get(name, np.empty(0)))
                reason = _reason(value, target)
                records.append((*key, float(value), float(low), float(high), reason))
                if name in draws:
                    resampled[key] = draws[name]
    return Measurements(make_frame(records, METRIC_COLUMNS), resampled)


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
            bins = calibration_bins(predicted, target, bins=_RELIABILITY_BINS)
            rows = zip(*(column.tolist() for column in bins), strict=True)
            key = (model, one.quantity, one.space)
            records += [(*key, int(count), mean, observed) for count, mean, observed in rows]
    return make_frame(records, RELIABILITY_COLUMNS)


def _columns(predicted: FloatArray, target: EvaluationTarget) -> FloatArray:
    label = target.target
    safe = np.clip(predicted, _TINY, 1 - _TINY)
    loss = -(label * np.log(safe) + (1 - label) * np.log1p(-safe))
    columns = (np.ones_like(predicted), predicted, label, loss, (predicted - label) ** 2)
    return np.stack(columns, axis=1) * target.rows[:, None]


def _ece(predicted: FloatArray, target: EvaluationTarget) -> float:
    rows = target.rows
    return float(
        expected_calibration_error(
            torch.from_numpy(predicted[rows].copy()), torch.from_numpy(target.target[rows].copy())
        )
    )


def _reason(value: FloatArray, target: EvaluationTarget) -> str | None:
    if np.isfinite(value):
        return None
    label = target.target[target.rows]
    if len(label) == 0:
        return f"no rows in space {target.space!r}"
    if label.sum() == 0:
        return f"no positive in space {target.space!r}"
    if label.min() == 1:
        return f"no negative in space {target.space!r}"
    return "undefined"
