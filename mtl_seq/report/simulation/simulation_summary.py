"""A look at a scenario before anything is trained on it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.records import FunnelTruth
from mtl_seq.report.simulation.accumulate import EDGES, Tally, tally
from mtl_seq.report.simulation.simulation_result import Description
from mtl_seq.schema import Schema

__all__ = ["describe", "describe_chunks", "plot_description"]

FloatArray = NDArray[np.float64]

_CURVE = np.linspace(0, 1, 201)
_NAN, _TINY = float("nan"), 1e-300
_ALL, _CLICKS = "all impressions", "clicks"
_LATER = " once all are known"


def describe(
    log: pd.DataFrame, truth: FunnelTruth, schema: Schema, *, item: str | None = "item_id"
) -> Description:
    """Describe a log and its truth.

    Args:
        log: The log.
        truth: The truth of the same rows.
        schema: The roles of the log's columns; ``group`` is taken for the user.
        item: The column that says which item was shown; None for none.

    Raises:
        DataError: No rows, or a truth of another length.

    >>> from mtl_seq import simulate
    >>> simulator = simulate.scenario("clean")
    >>> found = describe(*simulator.sample(5000, np.random.default_rng(0)), simulator.schema)
    >>> found.table.loc["CVR over all impressions", "space"]
    'all impressions'
    """
    return describe_chunks([(log, truth)], schema, item=item)


def describe_chunks(
    chunks: Iterable[tuple[pd.DataFrame, FunnelTruth]],
    schema: Schema,
    *,
    item: str | None = "item_id",
) -> Description:
    """Describe a log of any size, such as ``simulate.read_shards`` yields it.

    Memory holds one chunk, and a row for each user and item. Arguments and errors are those of
    `describe`.
    """
    found = tally(chunks, schema, item)
    return Description(
        table=_table(found, schema),
        deciles=_deciles(found.steps),
        propensity=_propensity(found.steps),
        items=_lorenz(found.items),
        users=found.users["conversions"].astype(int).value_counts().sort_index(),
    )


def plot_description(found: Description, path: str | Path) -> None:
    """Draw a description into a PNG or SVG file: five panels and its table."""
    from mtl_seq.report.render.plot_bias import save
    from mtl_seq.report.simulation.simulation_plot import scenario_figure

    save(scenario_figure(found), path)


def _table(found: Tally, schema: Schema) -> pd.DataFrame:
    rows, clicks, p, q, joint, both = (float(total) for total in found.steps.sum(axis=0))
    first, *between, last = schema.funnel.names
    seen, known = float(found.stages[-1]), float(found.expected[-1])
    weights, squares, possible, inverses, largest = found.weights
    sample, expected_sample = _ratio(weights**2, squares), _ratio(possible**2, inverses)
    everywhere, off = found.converted / rows, _ratio(found.converted - both, rows - clicks)
    records = [
        ("impressions", _ALL, rows, rows),
        (f"{first}s", _ALL, clicks, p),
        *(
            (f"{name}s", _ALL, found.stages[k], found.expected[k])
            for k, name in enumerate(between, start=1)
        ),
        (f"{last}s", _ALL, seen, known),
        (f"{last}s{_LATER}", _ALL, both, joint),
        ("CTR", _ALL, clicks / rows, p / rows),
        ("CVR on clicks", _CLICKS, _ratio(seen, clicks), _ratio(known, p)),
        (f"CVR on clicks{_LATER}", _CLICKS, _ratio(both, clicks), _ratio(joint, p)),
        ("CVR on non-clicks", "non-clicks", off, _ratio(q - joint, rows - p)),
        ("CVR over all impressions", _ALL, everywhere, q / rows),
        (
            "CVR on clicks / over all",
            f"{_CLICKS}, {_ALL}",
            _ratio(_ratio(both, clicks), everywhere),
            _ratio(_ratio(joint, p), q / rows),
        ),
        ("effective sample size, weights 1/p", _CLICKS, sample, expected_sample),
        (
            "the same, as a share of clicks",
            _CLICKS,
            _ratio(sample, clicks),
            _ratio(expected_sample, p),
        ),
        ("largest weight 1/p", _CLICKS, float(largest), _NAN),
        ("overlap of clicks and non-clicks", _ALL, _NAN, _overlap(found.steps)),
        *(
            (f"propensity, {share:.0%} quantile", _ALL, _NAN, _quantile(found.steps, share))
            for share in (0.01, 0.5, 0.99)
        ),
        ("Gini of items' impressions", _ALL, gini(found.items["impressions"]), _NAN),
        ("users without a conversion", _ALL, _without(found.users["conversions"]), _NAN),
    ]
    if np.isclose(known, joint, rtol=1e-9):
        records = [record for record in records if not record[0].endswith(_LATER)]
    return pd.DataFrame(records, columns=["figure", "space", "drawn", "expected"]).set_index(
        "figure"
    )


def _deciles(steps: FloatArray) -> pd.DataFrame:
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
            "seen": both / clicks,
            "clicked": clicks.astype(np.int64),
        }
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(sums) + 1, name="decile"))


def _propensity(steps: FloatArray) -> pd.DataFrame:
    filled = np.nonzero(steps[:, 0])[0]
    some = slice(filled[0], filled[-1] + 1)
    rows, p = steps[some, 0], steps[some, 2]
    shares = {
        name: part / max(part.sum(), _TINY)
        for name, part in (("all", rows), ("clicks", p), ("non-clicks", rows - p))
    }
    return pd.DataFrame({"low": EDGES[:-1][some], "high": EDGES[1:][some], **shares})


def _overlap(steps: FloatArray) -> float:
    """Mass that the propensities of clicks and non-clicks have in common, 0 to 1."""
    clicks, others = steps[:, 2], steps[:, 0] - steps[:, 2]
    shares = [part / max(part.sum(), _TINY) for part in (clicks, others)]
    return float(np.minimum(*shares).sum())


def _quantile(steps: FloatArray, share: float) -> float:
    """Mean propensity of the step that holds the quantile: right to 1/64 in the logit."""
    reached = np.cumsum(steps[:, 0])
    step = int(np.searchsorted(reached, share * reached[-1]))
    return float(steps[step, 2] / steps[step, 0])


def _lorenz(items: pd.DataFrame) -> pd.DataFrame:
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
    """Gini coefficient: 0 where all are equal, towards 1 where one has all; NaN of nothing.

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
