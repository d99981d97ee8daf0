"""What a report reads of a log, and what it says of where its figures come from."""

import platform
from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import check_labels, check_row_values
from mtl_seq.errors import DataError, SchemaError, rows_text
from mtl_seq.report.compute.alignment import Source, stated_rule
from mtl_seq.report.compute.grouped_sums import Sampling
from mtl_seq.report.compute.metrics import LEVEL
from mtl_seq.schema import Schema

__all__ = [
    *("chosen_control", "facts_of", "groups", "logged_propensity", "observed", "random_rows"),
    "versions",
]

FloatArray = NDArray[np.float64]

CONTROL = "multitask"
"""The control that stands beside ESMM wherever it is among the models."""


def observed(schema: Schema, log: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Click and conversion of each row, checked; features need not be there."""
    absent = [column for column in schema.labels.values() if column not in log.columns]
    if absent:
        raise SchemaError(
            f"the log must hold the label columns {absent}, found {list(log.columns)}: add them, "
            "or hand in the schema of this log"
        )
    if len(log) == 0:
        raise DataError("the log must hold at least one row, found an empty one")
    check_labels(schema, log)
    first, last = schema.labels[schema.funnel.first], schema.labels[schema.funnel.last]
    return log[first].to_numpy(dtype=np.float64), log[last].to_numpy(dtype=np.float64)


def groups(schema: Schema, log: pd.DataFrame) -> NDArray[np.int64]:
    """Codes of the users to resample; each row its own where the log names none."""
    if schema.group is None or schema.group not in log.columns:
        return np.arange(len(log), dtype=np.int64)
    return np.asarray(pd.factorize(log[schema.group], use_na_sentinel=False)[0], dtype=np.int64)


def logged_propensity(schema: Schema, log: pd.DataFrame) -> dict[str, FloatArray]:
    """The propensity that the log itself states, by its name; none where it states none.

    Raises:
        DataError: A propensity outside (0, 1].
    """
    if schema.propensity is None or schema.propensity not in log.columns:
        return {}
    check_row_values(replace(schema, weight=None), log)
    return {"logged propensity": log[schema.propensity].to_numpy(dtype=np.float64)}


def random_rows(log: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Which rows the log marks as shown at random.

    Raises:
        SchemaError: No such column.
        DataError: A mark other than 0 and 1, or a mark that all rows or none have.
    """
    if column not in log.columns:
        raise SchemaError(
            f"`random` must name a column of the log, found {column!r}: {list(log.columns)}"
        )
    marked = log[column].isin([0, 1, False, True]).to_numpy()
    if not marked.all():
        where = rows_text(log.index[~marked], int((~marked).sum()))
        raise DataError(f"`random` column {column!r} must hold 0 and 1, found others in {where}")
    rows = log[column].to_numpy(dtype=np.float64) == 1
    if rows.all() or not rows.any():
        raise DataError(
            f"`random` column {column!r} must mark some rows and not all, found {rows.sum():,} of "
            f"{len(rows):,} marked: leave it out"
        )
    return np.asarray(rows)


def chosen_control(control: str | None, models: Collection[str], naive: str) -> str | None:
    """The model that the others are held against: as named, or multitask, or the naive one.

    Raises:
        DataError: A control that is no model.
    """
    if control is not None and control not in models:
        raise DataError(f"`control` must be one of the models {list(models)}, found {control!r}")
    return control or next((name for name in (CONTROL, naive) if name in models), None)


def metadata_of(
    schema: Schema,
    log: pd.DataFrame,
    labels: tuple[FloatArray, FloatArray],
    scores: Mapping[str, Source],
    checkpoint_rule: str | None,
    sampling: Sampling,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What a report was made from, the caller's own metadata first."""
    click, conversion = labels
    grouped = schema.group is not None and schema.group in log.columns
    unit = f"users ({schema.group})" if grouped else "impressions (the schema names no group)"
    weights = {"row weights": "not used"} if schema.weight else {}
    own = {
        "impressions": len(log),
        **({"users": int(sampling.group.max()) + 1} if grouped else {}),
        "clicks": int(click.sum()),
        "conversions": int(conversion.sum()),
        "CTR": float(click.mean()),
        "CVR on clicks": float(conversion.sum() / click.sum()) if click.any() else "no clicks",
        "intervals": f"{LEVEL:.0%}, bootstrap of {unit}, {sampling.replicates} resamples, paired "
        "over models",
        "seed of the resamples": sampling.seed,
        **weights,
        "checkpoint rule": checkpoint_rule or stated_rule(scores),
    }
    return {**(metadata or {}), **own, "versions": (metadata or {}).get("versions", versions())}


def versions() -> str:
    """What the figures were computed with."""
    named = ("mtl_seq", "torch", "numpy", "pandas", "lightning")
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in named)]
    )
