"""What was found of several models: figures by model, quantity, space and metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from mtl_seq.errors import DataError
from mtl_seq.report.compute.comparisons import Contradiction, Lead
from mtl_seq.report.compute.deciles import Decile
from mtl_seq.report.compute.overlap import Overlap
from mtl_seq.report.compute.report_diff import Changes
from mtl_seq.report.compute.selection import Selection
from mtl_seq.report.compute.sensitivity import Sensitivity

__all__ = ["CEILING", "LOG_COLUMNS", "TRUTH", "TRUTH_COLUMNS", "Estimate", "Findings"]

CEILING = "P(r | x, click)"
"""Reference row: the best a method can do that assumes no hidden confounding."""

TRUTH = "truth"
"""Reference row: the true probabilities themselves."""


class Estimate(NamedTuple):
    """A value and its interval; NaN where it is undefined or has none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """The figures of a report, from which its table, its pictures and its files are made.

    Attributes:
        title: What this report is, and what it cannot say.
        metrics: Long form: model, quantity, space, metric, value, low, high, reason.
        models: The models, in the order given; reference rows are not among them.
        deciles: CVR bias by propensity decile; None without a truth.
        gap: By model, share of the log loss between the naive model and the oracle that it closes,
            and why it is NaN.
        metadata: What the report was made from.
        oracle: Name of the model that was trained on what nobody can observe; None without one.
        control: Name of the model that the others are held against; None without one.
        differences: Each figure minus the control's, long form, with paired intervals.
        contradictions: Pairs of models ordered otherwise on clicks than over all impressions.
        lead: The model of least log loss (with a truth of pCVR, the oracle aside; else of pCTCVR)
            and how far it is ahead of the next; None for a single model.
        reliability: Reliability curves, long form: model, quantity, space, rows, predicted,
            observed.
        segments: Bias by group of each column asked for, long form.
        overlap: Propensities of clicks and non-clicks, and the weights they ask for.
        sensitivity: The mean CVR over all impressions by assumed odds ratio.
        random: Figures on the rows shown at random and on the rest, long form with the column
            ``slice``; None where the log marks none.
        selection: A test for hidden selection and what it leaves open; None where none was given.
        changes: What is new against an older report; None where none was named.
    """

    title: str
    metrics: pd.DataFrame
    models: tuple[str, ...]
    deciles: Decile | None
    gap: Mapping[str, tuple[float, str | None]]
    metadata: Mapping[str, Any]
    oracle: str | None
    control: str | None
    differences: pd.DataFrame
    contradictions: tuple[Contradiction, ...]
    lead: Lead | None
    reliability: pd.DataFrame
    segments: pd.DataFrame
    overlap: Overlap | None
    sensitivity: Sensitivity | None
    random: pd.DataFrame | None = None
    selection: Selection | None = None
    changes: Changes | None = None

    @property
    def known(self) -> bool:
        """Whether the figures are against a truth, not only against what a log shows."""
        return self.deciles is not None

    @property
    def columns(self) -> Mapping[str, tuple[str, str, str]]:
        """By column of `table`, the quantity, space and metric it holds."""
        return TRUTH_COLUMNS if self.known else LOG_COLUMNS

    @property
    def table(self) -> pd.DataFrame:
        """One row per model, the figures a reader wants first; spaces stand in the columns."""
        wide = self.metrics.pivot(
            index="model", columns=["quantity", "space", "metric"], values="value"
        )
        table = pd.DataFrame({name: wide[at] for name, at in self.columns.items()})
        rows = [name for name in (*self.models, CEILING, TRUTH) if name in table.index]
        if self.gap:
            table["gap closed"] = pd.Series({name: value for name, (value, _) in self.gap.items()})
        table.index.name = "model"
        return table.loc[rows]

    def estimate(self, model: str, quantity: str, space: str, metric: str) -> Estimate:
        """One figure with its interval.

        Raises:
            DataError: No such figure.
        """
        return _looked_up(self.metrics, model, quantity, space, metric)

    def difference(self, model: str, quantity: str, space: str, metric: str) -> Estimate:
        """One figure minus the control's on the same rows, with the interval of the difference.

        Raises:
            DataError: No such figure, or no control.
        """
        return _looked_up(self.differences, model, quantity, space, metric)


def _looked_up(table: pd.DataFrame, model: str, quantity: str, space: str, metric: str) -> Estimate:
    row = table[
        (table["model"] == model)
        & (table["quantity"] == quantity)
        & (table["space"] == space)
        & (table["metric"] == metric)
    ]
    if row.empty:
        raise DataError(
            f"no figure {metric!r} of {quantity!r} on {space!r} for {model!r}: see `metrics` and "
            "`differences`"
        )
    return Estimate(*(float(row[column].iloc[0]) for column in Estimate._fields))


TRUTH_COLUMNS = {
    "relative bias, all": ("pcvr", "all", "relative_bias"),
    "relative bias, clicks": ("pcvr", "clicks", "relative_bias"),
    "relative bias, non-clicks": ("pcvr", "non-clicks", "relative_bias"),
    "AUC, all": ("pcvr", "all", "auc"),
    "AUC, clicks": ("pcvr", "clicks", "auc"),
    "log loss, all": ("pcvr", "all", "log_loss"),
    "RMSE, all": ("pcvr", "all", "rmse"),
    "ECE, all": ("pcvr", "all", "ece"),
    "PCOC, clicks": ("pcvr", "clicks", "pcoc"),
}
LOG_COLUMNS = {
    "CTR AUC, all": ("pctr", "all", "auc"),
    "CTR PCOC, all": ("pctr", "all", "pcoc"),
    "CVR AUC, clicks": ("pcvr", "clicks", "auc"),
    "CVR PCOC, clicks": ("pcvr", "clicks", "pcoc"),
    "CVR ECE, clicks": ("pcvr", "clicks", "ece"),
    "CTCVR AUC, all": ("pctcvr", "all", "auc"),
    "CTCVR PCOC, all": ("pctcvr", "all", "pcoc"),
    "CTCVR log loss, all": ("pctcvr", "all", "log_loss"),
}
