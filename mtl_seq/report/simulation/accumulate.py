"""Sums over chunks of a log and its truth."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtl_seq.errors import DataError
from mtl_seq.records import FloatArray, FunnelTruth
from mtl_seq.schema import Schema

__all__ = ["EDGES", "SimulationSums", "sum_chunks"]

EDGES: FloatArray = np.linspace(-16, 16, 2049)
"""Edges of the steps of the propensity's logit: 1/64 each."""

_BY_ENTITY = ("impressions", "clicks", "conversions")


class SimulationSums(NamedTuple):
    """Sums over rows. o is the click, r the potential conversion, p = P(o = 1 | x).

    Attributes:
        steps: ``(2048, 6)`` by step of logit p: rows, o, p, P(r | x), P(o, r | x), o * r.
        stages: ``(K,)`` count of each stage in the log.
        expected: ``(K,)`` its expectation; NaN where the truth does not hold it.
        converted: r, over all impressions.
        weights: ``(5,)`` of o / p, o / p^2, the expectations of both (rows and 1 / p where p is
            above 0), and the largest o / p.
        items: By item: impressions, clicks, conversions in the log; empty where there is none.
        users: By user, likewise.
    """

    steps: FloatArray
    stages: FloatArray
    expected: FloatArray
    converted: float
    weights: FloatArray
    items: pd.DataFrame
    users: pd.DataFrame


def sum_chunks(
    chunks: Iterable[tuple[pd.DataFrame, FunnelTruth]], schema: Schema, item: str | None
) -> SimulationSums:
    """Sum over all chunks of a log and its truth; no items where the log lacks the column."""
    total: SimulationSums | None = None
    for log, truth in chunks:
        if len(log) != len(truth.pctr):
            raise DataError(
                f"log and truth must be of the same rows, found {len(log):,} and "
                f"{len(truth.pctr):,}"
            )
        if len(log):
            part = _part(log, truth, schema, item)
            total = part if total is None else _sum(total, part)
    if total is None:
        raise DataError("there must be at least one row to summarise, found none")
    return total


def _part(
    log: pd.DataFrame, truth: FunnelTruth, schema: Schema, item: str | None
) -> SimulationSums:
    labels = {
        stage: log[column].to_numpy(dtype=np.float64) for stage, column in schema.labels.items()
    }
    click, conversion = labels[schema.funnel.first], labels[schema.funnel.last]
    p = truth.pctr
    with np.errstate(divide="ignore"):
        logit = np.log(p) - np.log1p(-p)
    # Where p is 0 the weight is 0 rather than infinite.
    inverse = np.divide(1, p, out=np.zeros_like(p), where=p > 0)
    step = np.searchsorted(EDGES[1:-1], logit, side="right")
    columns = (np.ones(len(log)), click, p, truth.pcvr, truth.pctcvr, click * truth.potential)
    steps = [np.bincount(step, column, minlength=len(EDGES) - 1) for column in columns]
    weight = inverse[click == 1]
    counts = pd.DataFrame(dict(zip(_BY_ENTITY, (columns[0], click, conversion), strict=True)))
    return SimulationSums(
        steps=np.stack(steps, axis=1),
        stages=np.array([column.sum() for column in labels.values()]),
        expected=np.array([_expected(stage, schema, truth) for stage in labels]),
        converted=float(truth.potential.sum()),
        weights=np.array(
            [
                weight.sum(),
                (weight**2).sum(),
                np.count_nonzero(inverse),
                inverse.sum(),
                weight.max(initial=0.0),
            ]
        ),
        items=_by(counts, log, item),
        users=_by(counts, log, schema.group),
    )


def _expected(stage: str, schema: Schema, truth: FunnelTruth) -> float:
    if stage == schema.funnel.first:
        return float(truth.pctr.sum())
    if stage == schema.funnel.last:
        # Before maturity a log holds fewer conversions.
        return float(truth.further.get("conversion_known", truth.pctcvr).sum())
    return float(truth.further[stage].sum()) if stage in truth.further else float("nan")


def _by(counts: pd.DataFrame, log: pd.DataFrame, column: str | None) -> pd.DataFrame:
    if column is None or column not in log.columns:
        return counts.iloc[:0]
    return counts.groupby(log[column].to_numpy(), sort=False).sum()


def _sum(one: SimulationSums, other: SimulationSums) -> SimulationSums:
    largest = max(one.weights[-1], other.weights[-1])
    return SimulationSums(
        one.steps + other.steps,
        one.stages + other.stages,
        one.expected + other.expected,
        one.converted + other.converted,
        np.array([*(one.weights + other.weights)[:-1], largest]),
        one.items.add(other.items, fill_value=0),
        one.users.add(other.users, fill_value=0),
    )
