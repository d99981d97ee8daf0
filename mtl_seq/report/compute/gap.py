"""Share of the log loss between the naive model and the oracle that each model closes."""

import math
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from mtl_seq.records import FloatArray
from mtl_seq.report.compute.bootstrap import percentiles, ratio
from mtl_seq.report.compute.metrics import KEY_COLUMNS, METRIC_COLUMNS, Measurements, MetricKey
from mtl_seq.report.compute.serialise import make_frame

__all__ = ["GAP_CLOSED", "gap_closed", "gap_replicates", "gap_rows"]

GAP_CLOSED: MetricKey = ("pcvr", "all", "gap_closed")
_LOSS: MetricKey = ("pcvr", "all", "log_loss")


def gap_rows(
    measured: Measurements, models: Collection[str], naive: str, oracle: str
) -> pd.DataFrame:
    """The gap closed as rows of the metrics, with intervals.

    Args:
        measured: The metrics and their resampled values.
        models: Models that predict probabilities.
        naive: Model at the far end of the gap.
        oracle: Model at the near end.

    Returns:
        Long form, columns `METRIC_COLUMNS`; no row where an end is missing.
    """
    values = measured.table.set_index(KEY_COLUMNS)["value"]
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

    Args:
        losses: Log loss over all impressions by model.
        replicates: Its resampled values, paired over models.
        naive: Model at the far end of the gap.
        oracle: Model at the near end.

    Returns:
        By model, the share (1 for the oracle, 0 for the naive model) and why it is NaN where it
        is: the two ends must be two standard errors apart. Empty where an end is missing.
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
