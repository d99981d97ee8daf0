"""Models that only rank: one column ``score``, of which only ranking metrics are reported."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from mtl_seq.errors import DataError, rows_text
from mtl_seq.report.compute.predictions import Source
from mtl_seq.report.compute.result import ReportResult

__all__ = ["REASON", "SCORE", "as_predictions", "without_probabilities"]

SCORE = "score"
"""Column of a model that only ranks: any number, the higher the better."""

REASON = "a score that only ranks is no probability"

_COUNTS = frozenset({"rows", "positives", "users", "clicks"})

_Report = TypeVar("_Report", bound=ReportResult)


def as_predictions(scores: Mapping[str, Source]) -> tuple[Mapping[str, Source], frozenset[str]]:
    """Frames with the three columns of a prediction, and the names of rankers.

    A ranker's rank over the number of rows is put into all three columns: ranking metrics are then
    those of the score, and `without_probabilities` removes all others. A ranker must be a frame.
    """
    if not hasattr(scores, "items"):
        return scores, frozenset()  # refused where predictions are checked
    predictions: dict[str, Source] = {}
    rankers = set()
    for name, frame in scores.items():
        predictions[name] = frame
        if isinstance(frame, pd.DataFrame) and list(frame.columns) == [SCORE]:
            rankers.add(name)
            values = frame[SCORE].to_numpy(dtype=np.float64, na_value=np.nan)
            missing = np.isnan(values)
            if missing.any():
                where = rows_text(frame.index[missing], int(missing.sum()))
                raise DataError(f"{SCORE} of {name!r} is NaN in {where}")
            rank = frame[SCORE].rank(method="average") / (len(frame) + 1)
            columns = pd.DataFrame(dict.fromkeys(("pctr", "pcvr", "pctcvr"), rank))
            columns.attrs = frame.attrs
            predictions[name] = columns
    return predictions, frozenset(rankers)


def without_probabilities(report: _Report, rankers: Collection[str]) -> _Report:
    """The report with every metric of the rankers undefined that needs a probability."""
    if not rankers:
        return report
    # A ranker as the control leaves no difference defined.
    against = report.models if report.control in rankers else rankers
    new: dict[str, Any] = {"differences": _blank(report.differences, against)}
    for name in ("metrics", "reliability", "segments", "random"):
        if getattr(report, name) is not None:
            new[name] = _blank(getattr(report, name), rankers)
    if report.deciles is not None:
        undefined = {name: np.full_like(report.deciles.propensity, np.nan) for name in rankers}
        bias, low, high = report.deciles[1:]
        new["deciles"] = report.deciles._replace(
            relative_bias=bias | undefined, low=low | undefined, high=high | undefined
        )
    if report.overlap is not None:
        weights = report.overlap.weights
        new["overlap"] = report.overlap._replace(
            weights=weights[~weights["propensity"].isin(rankers)].reset_index(drop=True)
        )
    if report.sensitivity is not None:
        models = _blank(report.sensitivity.models, rankers)
        new["sensitivity"] = report.sensitivity._replace(models=models)
    return replace(report, **new)


def _blank(table: pd.DataFrame, rankers: Collection[str]) -> pd.DataFrame:
    """Every number of the rankers as NaN, but for the AUC and counts."""
    undefined = table["model"].isin(rankers)
    if "metric" in table.columns:
        undefined &= table["metric"] != "auc"
    table = table.copy()
    for column in table.columns:
        if pd.api.types.is_float_dtype(table[column].dtype) and column not in _COUNTS:
            table.loc[undefined, column] = np.nan
    if "reason" in table.columns:
        table["reason"] = table["reason"].astype(object)
        table.loc[undefined, "reason"] = REASON
    return table
