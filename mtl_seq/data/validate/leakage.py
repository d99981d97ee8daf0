"""Detection of label leakage by single features."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.errors import DataError
from mtl_seq.functional import auc
from mtl_seq.schema import Schema

__all__ = ["LEAK_AUC", "Leak", "check_leaks", "find_leaks"]

LEAK_AUC = 0.98
"""Held-out AUC above which a single feature is considered a leak of the label."""

_ROWS = 200_000
_FEWEST = 10
_DENSE_BINS = 256
_PRIOR = 1.0


class Leak(NamedTuple):
    """A feature that predicts a stage on its own.

    Attributes:
        column: The feature.
        stage: The stage.
        auc: Its AUC on held-out rows that reached the stage's parent; 1 where it equals the label.
        equal: Whether it equals the label in every row.
    """

    column: str
    stage: str
    auc: float
    equal: bool


def check_leaks(schema: Schema, log: pd.DataFrame, allow: Collection[str] = ()) -> None:
    """Check that no feature equals a label or predicts one almost perfectly on its own.

    Args:
        schema: The roles of the columns.
        log: Rows with labels already checked.
        allow: Features to skip.

    Raises:
        DataError: A feature that equals a label, or whose held-out AUC is above `LEAK_AUC`.
    """
    for column, stage, score, equal in find_leaks(schema, log, allow):
        if equal:
            raise DataError(
                f"feature {column!r} equals {schema.labels[stage]!r}, the label of {stage!r}, in "
                f"every row: remove it from the features, or allow it with allow_leak=[{column!r}]"
            )
        raise DataError(
            f"feature {column!r} predicts {stage!r} alone with AUC {score:.4f} on held-out rows, "
            f"above {LEAK_AUC}: it probably is the label or derived from it; remove it, or "
            f"allow it with allow_leak=[{column!r}]"
        )


def find_leaks(
    schema: Schema, log: pd.DataFrame, allow: Collection[str] = (), *, above: float = LEAK_AUC
) -> Iterator[Leak]:
    """Find features that equal a label, then those that predict one suspiciously well.

    Each feature is target-encoded on one half of the rows and scored on the other; a later stage is
    evaluated on the rows that reached its parent. At most 200,000 rows are used, evenly spaced.

    Args:
        schema: The roles of the columns.
        log: Rows with labels already checked.
        allow: Features to skip.
        above: Held-out AUC above which a feature is reported.

    Yields:
        The leaks.
    """
    features = [c for c in (*schema.ids, *schema.dense) if c not in allow]
    parents = schema.funnel.parents()
    for column in features:
        for stage, label in schema.labels.items():
            if _equal(log[column], log[label]):
                yield Leak(column, stage, 1.0, True)
    step = max(1, -(-len(log) // _ROWS))
    rows = log.iloc[::step]
    codes = {column: _codes(rows[column], dense=column in schema.dense) for column in features}
    # An unusual seed: with that of the log, the halves would depend on the draws of its rows.
    half = np.random.default_rng([0x6C65616B, len(rows)]).random(len(rows)) < 0.5
    for stage, label in schema.labels.items():
        y = rows[label].to_numpy(dtype=np.float64)
        reached = (
            rows[schema.labels[parents[stage]]].to_numpy() == 1
            if stage in parents
            else np.ones(len(rows), dtype=bool)
        )
        for column in features:
            score = _held_out_auc(codes[column][reached], y[reached], half[reached])
            if score > above:
                yield Leak(column, stage, score, False)


def _equal(values: pd.Series, label: pd.Series) -> bool:
    dtype = values.dtype
    if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
        return False
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array_equal(numbers, label.to_numpy(dtype=np.float64))


def _codes(values: pd.Series, *, dense: bool) -> NDArray[np.int64]:
    if dense:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isnan(numbers).all():
            return np.zeros(len(numbers), dtype=np.int64)
        cuts = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _DENSE_BINS + 1)[1:-1]))
        return np.asarray(np.searchsorted(cuts, numbers, side="right"), dtype=np.int64)
    return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.int64)


def _held_out_auc(
    codes: NDArray[np.int64], y: NDArray[np.float64], half: NDArray[np.bool_]
) -> float:
    tested = y[~half]
    if min(tested.sum(), len(tested) - tested.sum(), y[half].sum()) < _FEWEST:
        return float("nan")
    size = int(codes.max()) + 1
    count = np.bincount(codes[half], minlength=size)
    total = np.bincount(codes[half], y[half], minlength=size)
    encoded = (total + _PRIOR * y[half].mean()) / (count + _PRIOR)
    score = torch.from_numpy(encoded[codes[~half]])
    return float(auc(score, torch.from_numpy(tested)))
