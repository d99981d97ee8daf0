"""What was found of several models: figures by model, quantity, space and metric."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mtl_seq._files import write_json
from mtl_seq.errors import DataError
from mtl_seq.report.columns import LOG_COLUMNS, TRUTH_COLUMNS
from mtl_seq.report.summaries import Decile

__all__ = ["CEILING", "TRUTH", "Estimate", "Findings"]

CEILING = "P(r | x, click)"
"""Reference row: the best a method can do that assumes no hidden confounding."""

TRUTH = "truth"
"""Reference row: the true probabilities themselves."""

_KIND, _VERSION = "mtl_seq.bias_report", 1


class Estimate(NamedTuple):
    """A value and its interval; NaN where it is undefined or has none."""

    value: float
    low: float
    high: float


class Findings:
    """The figures of a report, from which its table, its pictures and its files are made.

    Attributes:
        title: What this report is, and what it cannot say.
        metrics: Long form: model, quantity, space, metric, value, low, high, reason.
        models: The models, in the order given; reference rows are not among them.
        deciles: CVR bias by propensity decile; None without a truth.
        gap: By model, share of the log loss between the naive model and the oracle that it closes.
        oracle: Name of the model that was trained on what nobody can observe; None without one.
        facts: What the report was made from.
    """

    def __init__(
        self,
        *,
        title: str,
        metrics: pd.DataFrame,
        models: Sequence[str],
        deciles: Decile | None,
        gap: Mapping[str, tuple[float, str | None]],
        facts: Mapping[str, Any],
        oracle: str | None = None,
    ) -> None:
        self.title = title
        self.metrics = metrics
        self.models = tuple(models)
        self.deciles = deciles
        self.gap = dict(gap)
        self.facts = dict(facts)
        self.oracle = oracle

    @property
    def table(self) -> pd.DataFrame:
        """One row per model, the figures a reader wants first; spaces stand in the columns."""
        wide = self.metrics.pivot(
            index="model", columns=["quantity", "space", "metric"], values="value"
        )
        shown = TRUTH_COLUMNS if self.deciles is not None else LOG_COLUMNS
        table = pd.DataFrame({name: wide[at] for name, at in shown.items()})
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
        at = self.metrics
        row = at[
            (at["model"] == model)
            & (at["quantity"] == quantity)
            & (at["space"] == space)
            & (at["metric"] == metric)
        ]
        if row.empty:
            raise DataError(
                f"no figure {metric!r} of {quantity!r} on {space!r} for {model!r}: see `metrics`"
            )
        return Estimate(*(float(row[column].iloc[0]) for column in Estimate._fields))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; NaN becomes null, with its reason beside it."""
        records = json.loads(self.metrics.to_json(orient="records", double_precision=15))
        deciles = self.deciles and {
            "propensity": self.deciles.propensity.tolist(),
            "relative_bias": {k: v.tolist() for k, v in self.deciles.relative_bias.items()},
        }
        gap = {
            name: {"value": None if math.isnan(value) else value, "reason": reason}
            for name, (value, reason) in self.gap.items()
        }
        return {
            "title": self.title,
            "models": list(self.models),
            "facts": self.facts,
            "metrics": records,
            "deciles": deciles,
            "gap_closed": gap,
        }

    def to_json(self, path: str | Path) -> None:
        """Write every figure as JSON."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)
