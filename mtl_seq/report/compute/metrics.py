"""What is measured: sums within users, and the metrics that follow from them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.functional import expected_calibration_error
from mtl_seq.report.compute.bootstrap import RankedTarget, drawn_counts, group_sums, resampled_sums

__all__ = ["LEVEL", "METRICS", "Question", "measure"]

FloatArray = NDArray[np.float64]

LEVEL = 0.9
"""Confidence level of the intervals."""

_TINY = 1e-12
_MASS, _PREDICTED, _TARGET, _LOSS, _SQUARED = range(5)


class Question(NamedTuple):
    """One thing asked of every model.

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
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = sums[..., top] / sums[..., bottom]
    return np.where(sums[..., bottom] > 0, ratio, np.nan)


METRICS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "relative_bias": lambda sums: _ratio(sums, _PREDICTED, _TARGET) - 1,
    "mean_bias": lambda sums: _ratio(sums, _PREDICTED, _MASS) - _ratio(sums, _TARGET, _MASS),
    "pcoc": lambda sums: _ratio(sums, _PREDICTED, _TARGET),
    "log_loss": lambda sums: _ratio(sums, _LOSS, _MASS),
    "rmse": lambda sums: np.sqrt(_ratio(sums, _SQUARED, _MASS)),
}
"""Metrics that follow from sums over rows; beside them stand ``auc`` and ``ece``."""


class Measured(NamedTuple):
    """Values and their resampled twins.

    Attributes:
        table: Long form: model, quantity, space, metric, value, low, high, reason.
        replicates: ``(model, quantity, space, metric)`` -> ``(R,)`` values, paired over models.
    """

    table: pd.DataFrame
    replicates: dict[tuple[str, str, str, str], FloatArray]


def measure(
    predictions: Mapping[str, Mapping[str, FloatArray]],
    questions: Sequence[Question],
    group: NDArray[np.int64],
    *,
    replicates: int,
    seed: int,
) -> Measured:
    """Every metric of every model on every question, with intervals.

    Args:
        predictions: Model -> quantity -> ``(N,)`` probabilities.
        questions: What is asked.
        group: ``(N,)`` codes of the user, from 0.
        replicates: How many resamples of the users.
        seed: Seed of the resamples.

    Returns:
        The values, with percentile intervals at `LEVEL`.
    """
    groups = int(group.max()) + 1
    counts = drawn_counts(groups, replicates, seed)
    records, twins = [], {}
    for model, own in predictions.items():
        order = {one.quantity: np.argsort(own[one.quantity]) for one in questions}
        sums = np.concatenate(
            [group_sums(_columns(own[one.quantity], one), group, groups) for one in questions],
            axis=1,
        )
        drawn_sums = np.split(resampled_sums(sums, counts), len(questions), axis=1)
        total_sums = np.split(sums.sum(0), len(questions))
        for question, total, resampled in zip(questions, total_sums, drawn_sums, strict=True):
            predicted, kept = own[question.quantity], order[question.quantity]
            kept = kept[question.rows[kept]]
            ranked = RankedTarget(predicted, question.target, group, kept)
            value = {name: metric(total) for name, metric in METRICS.items()}
            drawn = {name: metric(resampled) for name, metric in METRICS.items()}
            value["auc"], drawn["auc"] = np.array(ranked.auc()), ranked.resampled(counts)
            value["ece"] = np.array(_ece(predicted, question))
            for name, figure in value.items():
                at = (model, question.quantity, question.space, name)
                records.append(
                    (*at, float(figure), *_interval(drawn.get(name)), _reason(figure, question))
                )
                if name in drawn:
                    twins[at] = drawn[name]
    columns = ["model", "quantity", "space", "metric", "value", "low", "high", "reason"]
    return Measured(pd.DataFrame(records, columns=columns), twins)


def _columns(predicted: FloatArray, question: Question) -> FloatArray:
    target = question.target
    safe = np.clip(predicted, _TINY, 1 - _TINY)
    loss = -(target * np.log(safe) + (1 - target) * np.log1p(-safe))
    columns = (np.ones_like(predicted), predicted, target, loss, (predicted - target) ** 2)
    return np.stack(columns, axis=1) * question.rows[:, None]


def _ece(predicted: FloatArray, question: Question) -> float:
    rows = question.rows
    return float(
        expected_calibration_error(
            torch.from_numpy(predicted[rows].copy()), torch.from_numpy(question.target[rows].copy())
        )
    )


def _interval(drawn: FloatArray | None) -> tuple[float, float]:
    if drawn is None or not np.isfinite(drawn).any():
        return float("nan"), float("nan")
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _reason(value: FloatArray, question: Question) -> str | None:
    if np.isfinite(value):
        return None
    target = question.target[question.rows]
    if len(target) == 0:
        return f"no rows in space {question.space!r}"
    if target.sum() == 0:
        return f"no positive in space {question.space!r}"
    if target.min() == 1:
        return f"no negative in space {question.space!r}"
    return "undefined"
