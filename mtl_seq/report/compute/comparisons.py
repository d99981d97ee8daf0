"""Models compared: paired differences, rank disagreements, and the gap in log loss closed."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtl_seq.records import FloatArray
from mtl_seq.report.compute.bootstrap import percentiles, ratio
from mtl_seq.report.compute.metrics import (
    KEY_COLUMNS,
    METRIC_COLUMNS,
    Estimate,
    Measurements,
    MetricKey,
)
from mtl_seq.report.compute.serialise import TEXT, make_frame

__all__ = [
    *("DIFFERENCE_COLUMNS", "GAP_CLOSED", "Lead", "RankDisagreement", "differences"),
    *("gap_closed", "gap_replicates", "gap_rows", "lead", "rank_disagreements"),
]

DIFFERENCE_COLUMNS = {"model": TEXT, "control": TEXT, **METRIC_COLUMNS}

GAP_CLOSED: MetricKey = ("pcvr", "all", "gap_closed")
_LOSS: MetricKey = ("pcvr", "all", "log_loss")
_BIAS, _SIZE = "relative_bias", "absolute_relative_bias"


class RankDisagreement(NamedTuple):
    """Two models whose order by AUC on clicks is not their order over all impressions.

    Attributes:
        clicked: The model that is ahead on clicks.
        entire: The model that is ahead over all impressions.
        lead_on_clicks: AUC of the first minus that of the second on clicks.
        lead_on_all: AUC of the second minus that of the first over all impressions.
    """

    clicked: str
    entire: str
    lead_on_clicks: Estimate
    lead_on_all: Estimate


class Lead(NamedTuple):
    """The model with the least log loss, and the next one.

    Attributes:
        first: The model ahead.
        second: The next.
        lead: Log loss of the second minus that of the first.
    """

    first: str
    second: str
    lead: Estimate


def differences(measured: Measurements, models: Sequence[str], control: str) -> pd.DataFrame:
    """Every metric of every model minus the control's, with paired intervals.

    Long form, columns `DIFFERENCE_COLUMNS`, of every metric that was resampled, and of
    ``absolute_relative_bias``, the distance of the relative bias from 0: below 0 where the model is
    less biased than the control, whatever the sign.
    """
    values = _values(measured)
    keys = list(dict.fromkeys(key[1:] for key in measured.replicates if key[0] == control))
    records = []
    for model in (name for name in models if name != control):
        for key in keys:
            pair = [_with_draws(values, measured, name, key) for name in (model, control)]
            records.append((model, control, *key, *_difference(*pair), _reason(pair)))
            if key[2] == _BIAS:
                sizes = [(abs(value), np.abs(draws)) for value, draws in pair]
                size_key = (*key[:2], _SIZE)
                records.append((model, control, *size_key, *_difference(*sizes), _reason(sizes)))
    return make_frame(records, DIFFERENCE_COLUMNS)


def rank_disagreements(
    measured: Measurements, models: Sequence[str]
) -> tuple[RankDisagreement, ...]:
    """Pairs of models of which one is ahead on clicks and the other over all impressions.

    A pair counts where the interval of the paired difference in AUC of pCVR excludes 0 in both
    spaces.
    """
    values = _values(measured)
    clicks, entire = ("pcvr", "clicks", "auc"), ("pcvr", "all", "auc")
    pairs = []
    for one, other in permutations(models, 2):
        leads = [
            _difference(*(_with_draws(values, measured, name, key) for name in (ahead, behind)))
            for ahead, behind, key in ((one, other, clicks), (other, one, entire))
        ]
        if all(each.low > 0 for each in leads):
            pairs.append(RankDisagreement(one, other, *leads))
    return tuple(pairs)


def lead(measured: Measurements, models: Sequence[str], key: MetricKey) -> Lead | None:
    """The model of least loss, and its distance to the next; None for fewer than two models."""
    values = _values(measured)
    order = sorted(models, key=lambda name: float(values[(name, *key)]))
    if len(order) < 2:
        return None
    pair = (_with_draws(values, measured, name, key) for name in (order[1], order[0]))
    return Lead(order[0], order[1], _difference(*pair))


def gap_rows(
    measured: Measurements, models: Collection[str], naive: str, oracle: str
) -> pd.DataFrame:
    """The gap closed as rows of the metrics, with intervals; no row where an end is missing."""
    values = _values(measured)
    losses = {name: float(values[(name, *_LOSS)]) for name in models}
    replicates = {name: measured.replicates[(name, *_LOSS)] for name in models}
    closed = gap_closed(losses, replicates, naive, oracle)
    drawn = gap_replicates(replicates, naive, oracle) if closed else {}
    records = []
    for name, (value, reason) in closed.items():
        low, high = (math.nan, math.nan) if reason else map(float, percentiles(drawn[name]))
        records.append((name, *GAP_CLOSED, value, low, high, reason))
    return make_frame(records, METRIC_COLUMNS)


def gap_closed(
    losses: Mapping[str, float], replicates: Mapping[str, FloatArray], naive: str, oracle: str
) -> dict[str, tuple[float, str | None]]:
    """Share of the log loss between the naive model and the oracle that each model closes.

    Losses are over all impressions, resampled values paired over models. By model, the share (1 for
    the oracle, 0 for the naive model) and why it is NaN where it is: the two ends must be two
    standard errors apart. Empty where an end is missing.
    """
    if naive not in losses or oracle not in losses:
        return {}
    width = losses[naive] - losses[oracle]
    error = float(np.nanstd(replicates[naive] - replicates[oracle]))
    if not width >= 2 * error:
        reason = f"naive and oracle differ by {width:.2g} log loss, under two standard errors"
        return dict.fromkeys(losses, (math.nan, reason))
    return {name: ((losses[naive] - loss) / width, None) for name, loss in losses.items()}


def gap_replicates(
    replicates: Mapping[str, FloatArray], naive: str, oracle: str
) -> dict[str, FloatArray]:
    """The share of `gap_closed` in each resample, by model: ``(R,)``."""
    width = replicates[naive] - replicates[oracle]
    return {name: ratio(replicates[naive] - loss, width) for name, loss in replicates.items()}


def _values(measured: Measurements) -> "pd.Series[float]":
    return measured.table.set_index(KEY_COLUMNS)["value"]


def _with_draws(
    values: "pd.Series[float]", measured: Measurements, model: str, key: MetricKey
) -> tuple[float, FloatArray]:
    return float(values[(model, *key)]), measured.replicates[(model, *key)]


def _difference(one: tuple[float, FloatArray], other: tuple[float, FloatArray]) -> Estimate:
    low, high = percentiles(one[1] - other[1])
    return Estimate(one[0] - other[0], float(low), float(high))


def _reason(pair: Sequence[tuple[float, FloatArray]]) -> str | None:
    defined = np.isfinite(pair[0][0] - pair[1][0])
    return None if defined else "undefined for one of the two"
