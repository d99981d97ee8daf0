"""Result of a report: metrics by model, quantity, space and name, and its further parts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import pandas as pd

from mtl_seq._files import read_json, write_json
from mtl_seq.errors import DataError
from mtl_seq.report.compute.comparisons import (
    DIFFERENCE_COLUMNS,
    GAP_CLOSED,
    Lead,
    RankDisagreement,
)
from mtl_seq.report.compute.metrics import (
    KEY_COLUMNS,
    METRIC_COLUMNS,
    RELIABILITY_COLUMNS,
    Estimate,
    MetricKey,
)
from mtl_seq.report.compute.overlap import Overlap
from mtl_seq.report.compute.segments import SEGMENT_COLUMNS, DecileBias
from mtl_seq.report.compute.selection import Selection
from mtl_seq.report.compute.sensitivity import Sensitivity
from mtl_seq.report.compute.serialise import NUMBER, TEXT, from_json, make_frame, to_json

__all__ = [
    *("CEILING", "CHANGE_COLUMNS", "IDENTIFIED", "LOG_METRICS", "METADATA_COLUMNS", "TRUTH"),
    *("TRUTH_METRICS", "Changes", "ReportResult", "changes_between", "metric_label"),
]

CEILING = "P(r | x, click)"
"""Reference row: the best that a method can do which assumes no hidden confounding."""

TRUTH = "truth"
"""Reference row: the true probabilities themselves."""

TRUTH_METRICS: tuple[MetricKey, ...] = (
    ("pcvr", "all", "relative_bias"),
    ("pcvr", "clicks", "relative_bias"),
    ("pcvr", "non-clicks", "relative_bias"),
    ("pcvr", "all", "auc"),
    ("pcvr", "clicks", "auc"),
    ("pcvr", "all", "log_loss"),
    ("pcvr", "all", "rmse"),
    ("pcvr", "all", "ece"),
    ("pcvr", "clicks", "pcoc"),
)
LOG_METRICS: tuple[MetricKey, ...] = (
    ("pctr", "all", "auc"),
    ("pctr", "all", "pcoc"),
    ("pcvr", "clicks", "auc"),
    ("pcvr", "clicks", "pcoc"),
    ("pcvr", "clicks", "ece"),
    ("pctcvr", "all", "auc"),
    ("pctcvr", "all", "pcoc"),
    ("pctcvr", "all", "log_loss"),
)

IDENTIFIED = (("pctr", "all"), ("pctcvr", "all"), ("pcvr", "clicks"))
"""Quantities and spaces of which a log identifies metrics."""

CHANGE_COLUMNS = {
    **dict.fromkeys(KEY_COLUMNS, TEXT),
    **dict.fromkeys(("before", "after", "change"), NUMBER),
    "disjoint": object,
}
METADATA_COLUMNS = dict.fromkeys(("name", "before", "after"), TEXT)

_KIND, _VERSION = "mtl_seq.bias_report", 1
_METRIC_NAMES = {
    "relative_bias": "relative bias",
    "absolute_relative_bias": "|relative bias|",
    "log_loss": "log loss",
    "auc": "AUC",
    "pcoc": "PCOC",
    "ece": "ECE",
    "expected_null_ece": "expected ECE of the truth",
    "rmse": "RMSE",
    "gap_closed": "gap closed",
}


def metric_label(key: MetricKey, *, against_truth: bool = False) -> tuple[str, str]:
    """Column label (metric, space); against a truth CVR is the default quantity.

    >>> metric_label(("pctcvr", "all", "log_loss"))
    ('CTCVR log loss', 'all')
    """
    quantity, space, metric = key
    name = _METRIC_NAMES.get(metric, metric)
    if against_truth and quantity == "pcvr":
        return name, space
    return f"{quantity[1:].upper()} {name}", space


class Changes(NamedTuple):
    """Changes; the two reports may be of other rows, so no change has a paired interval.

    Attributes:
        metrics: A row per model of both reports and metric of the table: ``before``, ``after``,
            their difference ``change``, and ``disjoint``: whether their intervals do not overlap
            (None where one has none).
        metadata: Metadata that differ: ``name``, ``before``, ``after`` as text, ``""`` if absent.
        added: Models that only the newer report has.
        removed: Models that only the older report has.
    """

    metrics: Annotated[pd.DataFrame, CHANGE_COLUMNS]
    metadata: Annotated[pd.DataFrame, METADATA_COLUMNS]
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ReportResult:
    """The values of a report, from which its table, its figures and its files are made.

    Attributes:
        title: What this report is of, and what is not identified.
        metrics: Long form: model, quantity, space, metric, value, low, high, reason.
        models: The models, in the order given; reference rows are not among them.
        metadata: What the report was made from.
        differences: Each metric minus the control's, long form, with paired intervals.
        reliability: Reliability curves, long form: model, quantity, space, rows, predicted,
            observed.
        segments: Bias by group of each requested column, long form.
        control: Name of the model that the others are compared with; None without one.
        oracle: Name of the model that was trained on potential outcomes; None without one.
        deciles: CVR bias by propensity decile; None without a truth.
        rank_disagreements: Pairs of models ordered otherwise on clicks than over all impressions.
        lead: The model of least log loss (with a truth of pCVR, the oracle aside; else of pCTCVR)
            and its distance to the next; None for a single model.
        overlap: Propensities of clicks and non-clicks, and the inverse propensity weights.
        sensitivity: The mean CVR over all impressions by assumed odds ratio.
        random: Metrics on the rows shown at random and on the rest, long form with the column
            ``slice``; None where the log marks none.
        selection: A test for hidden selection and the mean CVR under it; None without a test.
        changes: Changes against an older report; None without one.
    """

    title: str
    metrics: Annotated[pd.DataFrame, METRIC_COLUMNS]
    models: tuple[str, ...]
    metadata: Mapping[str, Any]
    differences: Annotated[pd.DataFrame, DIFFERENCE_COLUMNS]
    reliability: Annotated[pd.DataFrame, RELIABILITY_COLUMNS]
    segments: Annotated[pd.DataFrame, SEGMENT_COLUMNS]
    control: str | None = None
    oracle: str | None = None
    deciles: DecileBias | None = None
    rank_disagreements: tuple[RankDisagreement, ...] = ()
    lead: Lead | None = None
    overlap: Overlap | None = None
    sensitivity: Sensitivity | None = None
    random: Annotated[pd.DataFrame | None, {"slice": TEXT, **METRIC_COLUMNS}] = None
    selection: Selection | None = None
    changes: Changes | None = None

    @property
    def has_truth(self) -> bool:
        """Whether metrics are against a truth, not only against labels."""
        return self.deciles is not None

    @property
    def has_gap(self) -> bool:
        """Whether naive model and oracle are both there, so that ``gap_closed`` is reported."""
        return bool((self.metrics["metric"] == "gap_closed").any())

    @property
    def columns(self) -> dict[tuple[str, str], MetricKey]:
        """By column of `table`, its quantity, space and metric."""
        keys = (*TRUTH_METRICS, *([GAP_CLOSED] if self.has_gap else []))
        return {
            metric_label(key, against_truth=self.has_truth): key
            for key in (keys if self.has_truth else LOG_METRICS)
        }

    @property
    def table(self) -> pd.DataFrame:
        """Main metrics, a row per model, a column per metric and space."""
        wide = self.metrics.pivot(
            index="model", columns=["quantity", "space", "metric"], values="value"
        )
        table = pd.DataFrame({label: wide[key] for label, key in self.columns.items()})
        table.columns.names = ["metric", "space"]
        return table.loc[[n for n in (*self.models, CEILING, TRUTH) if n in table.index]]

    def main_segments(self, by: str) -> pd.DataFrame:
        """Bias by group of a column over all impressions: of pCVR, without a truth of pCTCVR."""
        quantity = "pcvr" if self.has_truth else "pctcvr"
        rows = self.segments[["by", "quantity", "space"]] == [by, quantity, "all"]
        return self.segments[rows.all(axis=1)]

    def estimate(self, model: str, quantity: str, space: str, metric: str) -> Estimate:
        """One metric with its interval.

        Raises:
            DataError: No such metric.
        """
        return _look_up(self.metrics, model, (quantity, space, metric))

    def difference(self, model: str, quantity: str, space: str, metric: str) -> Estimate:
        """One metric minus the control's on the same rows, with the interval of the difference.

        Raises:
            DataError: No such metric, or no control.
        """
        return _look_up(self.differences, model, (quantity, space, metric))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; NaN becomes null, with its reason beside it."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self)}

    def to_json(self, path: str | Path) -> None:
        """Write every value as JSON; `from_json` reads it."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: The file is not a report in a format that this version reads.
        """
        report: Self = from_json(cls, read_json(path, kind=_KIND, version=_VERSION))
        return report


def changes_between(older: ReportResult, newer: ReportResult) -> Changes:
    """Changes of the main metrics, the metadata and the models."""
    before, after = (report.metrics.set_index(KEY_COLUMNS) for report in (older, newer))
    shared = [name for name in newer.models if name in older.models]
    columns = list(Estimate._fields)
    records = []
    for key in newer.columns.values():
        for model in shared:
            if (model, *key) not in before.index or (model, *key) not in after.index:
                continue
            old, new = (
                table.loc[(model, *key), columns].astype(float) for table in (before, after)
            )
            disjoint = None
            if old.notna().all() and new.notna().all():
                disjoint = bool(old["high"] < new["low"] or new["high"] < old["low"])
            values = (old["value"], new["value"], new["value"] - old["value"])
            records.append((model, *key, *values, disjoint))
    metadata = [
        (name, _text(older.metadata.get(name)), _text(newer.metadata.get(name)))
        for name in dict.fromkeys((*newer.metadata, *older.metadata))
        if older.metadata.get(name) != newer.metadata.get(name)
    ]
    return Changes(
        make_frame(records, CHANGE_COLUMNS),
        make_frame(metadata, METADATA_COLUMNS),
        tuple(name for name in newer.models if name not in older.models),
        tuple(name for name in older.models if name not in newer.models),
    )


def _look_up(table: pd.DataFrame, model: str, key: MetricKey) -> Estimate:
    row = table[(table[KEY_COLUMNS] == [model, *key]).all(axis=1)]
    if row.empty:
        quantity, space, metric = key
        raise DataError(
            f"no metric {metric!r} of {quantity!r} on {space!r} for {model!r}: see `metrics` and "
            "`differences`"
        )
    return Estimate(*(float(row[column].iloc[0]) for column in Estimate._fields))


def _text(value: object) -> str:
    return "" if value is None else str(value)
