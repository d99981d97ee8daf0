"""Tables of a simulation summary, from its sums."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq.records import FloatArray
from mtl_seq.report.compute.serialise import to_json
from mtl_seq.report.simulation.accumulate import EDGES, SimulationSums
from mtl_seq.schema import Schema

__all__ = [
    "SimulationResult",
    "decile_table",
    "gini",
    "lorenz_table",
    "main_table",
    "propensity_table",
]

_CURVE = np.linspace(0, 1, 201)
_NAN, _TINY = float("nan"), 1e-300
_MATURE = ", mature"


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """The tables of a simulation summary.

    Attributes:
        table: By name: the space, the value in the drawn log (``drawn``) and its expectation under
            the truth (``expected``); NaN where one of them does not apply. p is P(click | x). Rows
            with ``mature`` count conversions that the log does not yet hold.
        deciles: By tenth of the impressions in order of their propensity P(click | x), the lowest
            first: ``impressions``, mean ``propensity``, true CVR over ``all``, ``clicks`` and
            ``non-clicks``, ``drawn`` (CVR of the drawn clicks) and ``drawn_clicks`` (their number).
            Tenths are cut at steps of 1/64 in the logit, so that they are near-equal; fewer than
            ten where many impressions share one propensity.
        propensity: Share of all impressions, of expected clicks and of expected non-clicks by step
            of the propensity's logit (``low``, ``high``).
        items: Lorenz curve: by share of items, least shown first, their share of ``impressions``,
            ``clicks`` and ``conversions``, each in its own order. Empty without an item column.
        users: Number of users with 0, 1, 2, ... conversions. Empty without a user column.
    """

    table: pd.DataFrame
    deciles: pd.DataFrame
    propensity: pd.DataFrame
    items: pd.DataFrame
    users: "pd.Series[int]"

    def formatted(self, name: str, column: str) -> str:
        """A cell of the table as text: counts with commas, rates in per cent, NaN empty."""
        value = float(self.table.loc[name, column])
        if np.isnan(value):
            return ""
        if name.startswith("CVR on clicks /"):
            return f"{value:.2f}"
        if name.startswith(("CTR", "CVR", "users", "effective sample size /")):
            return f"{value:.3%}"
        if name.startswith(("propensity", "Gini", "overlap")):
            return f"{value:.3g}"
        return f"{value:,.0f}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form of the table and the deciles; NaN becomes null."""
        frames = {"table": self.table.reset_index(), "deciles": self.deciles.reset_index()}
        return {name: to_json(frame) for name, frame in frames.items()}


def main_table(sums: SimulationSums, schema: Schema) -> pd.DataFrame:
    """Rates, weights and concentration, drawn and expected."""
    rows, clicks, p, q, joint, both = (float(total) for total in sums.steps.sum(axis=0))
    first, *between, last = schema.funnel.names
    observed, expected = float(sums.stages[-1]), float(sums.expected[-1])
    weights, squares, possible, inverses, largest = sums.weights
    size, expected_size = _ratio(weights**2, squares), _ratio(possible**2, inverses)
    everywhere, off = sums.converted / rows, _ratio(sums.converted - both, rows - clicks)
    records = [
        ("impressions", "all", rows, rows),
        (f"{first}s", "all", clicks, p),
        *(
            (f"{name}s", "all", sums.stages[k], sums.expected[k])
            for k, name in enumerate(between, start=1)
        ),
        (f"{last}s", "all", observed, expected),
        (f"{last}s{_MATURE}", "all", both, joint),
        ("CTR", "all", clicks / rows, p / rows),
        ("CVR on clicks", "clicks", _ratio(observed, clicks), _ratio(expected, p)),
        (f"CVR on clicks{_MATURE}", "clicks", _ratio(both, clicks), _ratio(joint, p)),
        ("CVR on non-clicks", "non-clicks", off, _ratio(q - joint, rows - p)),
        ("CVR over all impressions", "all", everywhere, q / rows),
        (
            "CVR on clicks / over all",
            "clicks, all",
            _ratio(_ratio(both, clicks), everywhere),
            _ratio(_ratio(joint, p), q / rows),
        ),
        ("effective sample size, weights 1/p", "clicks", size, expected_size),
        (
            "effective sample size / clicks",
            "clicks",
            _ratio(size, clicks),
            _ratio(expected_size, p),
        ),
        ("largest weight 1/p", "clicks", float(largest), _NAN),
        ("overlap of clicks and non-clicks", "all", _NAN, _overlap(sums.steps)),
        *(
            (f"propensity, {share:.0%} quantile", "all", _NAN, _quantile(sums.steps, share))
            for share in (0.01, 0.5, 0.99)
        ),
        ("Gini of items' impressions", "all", gini(sums.items["impressions"]), _NAN),
        ("users without a conversion", "all", _without(sums.users["conversions"]), _NAN),
    ]
    if np.isclose(expected, joint, rtol=1e-9):
        records = [record for record in records if not record[0].endswith(_MATURE)]
    return pd.DataFrame(records, columns=["name", "space", "drawn", "expected"]).set_index("name")


def decile_table(steps: FloatArray) -> pd.DataFrame:
    """CVR by decile of the propensity."""
    reached = np.cumsum(steps[:, 0])
    # The step whose end is nearest to each tenth.
    cuts = [int(np.abs(reached - reached[-1] * tenth / 10).argmin()) + 1 for tenth in range(1, 10)]
    starts = np.unique([0, *cuts])
    sums = np.add.reduceat(steps, starts[starts < len(steps)])
    sums = sums[sums[:, 0] > 0]
    rows, clicks, p, q, joint, both = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "impressions": rows.astype(np.int64),
            "propensity": p / rows,
            "all": q / rows,
            "clicks": joint / p,
            "non-clicks": (q - joint) / (rows - p),
            "drawn": both / clicks,
            "drawn_clicks": clicks.astype(np.int64),
        }
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(sums) + 1, name="decile"))


def propensity_table(steps: FloatArray) -> pd.DataFrame:
    """Distribution of the propensity by space."""
    filled = np.nonzero(steps[:, 0])[0]
    some = slice(filled[0], filled[-1] + 1)
    rows, p = steps[some, 0], steps[some, 2]
    shares = {
        name: part / max(part.sum(), _TINY)
        for name, part in (("all", rows), ("clicks", p), ("non-clicks", rows - p))
    }
    return pd.DataFrame({"low": EDGES[:-1][some], "high": EDGES[1:][some], **shares})


def _overlap(steps: FloatArray) -> float:
    """Common mass of the propensity distributions of clicks and non-clicks, 0 to 1."""
    return float(propensity_table(steps)[["clicks", "non-clicks"]].min(axis=1).sum())


def _quantile(steps: FloatArray, share: float) -> float:
    """Mean propensity of the step of the quantile: accurate to 1/64 in the logit."""
    reached = np.cumsum(steps[:, 0])
    step = int(np.searchsorted(reached, share * reached[-1]))
    return float(steps[step, 2] / steps[step, 0])


def lorenz_table(items: pd.DataFrame) -> pd.DataFrame:
    """Lorenz curves of the items."""
    if items.empty:
        return pd.DataFrame(columns=items.columns, index=pd.Index([], name="items"))
    shares = np.arange(len(items) + 1) / len(items)
    curves = {}
    for name in items:
        reached = np.concatenate([[0.0], np.cumsum(np.sort(items[name].to_numpy()))])
        curve = reached / reached[-1] if reached[-1] else np.full_like(reached, _NAN)
        curves[name] = np.interp(_CURVE, shares, curve)
    return pd.DataFrame(curves, index=pd.Index(_CURVE, name="items"))


def gini(counts: "pd.Series[float]") -> float:
    """Gini coefficient: 0 where all are equal, towards 1 where one has all; NaN of an empty series.

    >>> gini(pd.Series([2.0, 2.0])), gini(pd.Series([0.0, 4.0]))
    (0.0, 0.5)
    """
    ordered = np.sort(counts.to_numpy(dtype=np.float64))
    place = np.arange(1, len(ordered) + 1)
    many, total = len(ordered), float(ordered.sum())
    return _ratio(float(2 * (place @ ordered)), many * total) - (many + 1) / many if total else _NAN


def _without(conversions: "pd.Series[float]") -> float:
    return float((conversions == 0).mean()) if len(conversions) else _NAN


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else _NAN
