"""Columns of a log that a report reads, and the report's metadata."""

import platform
from collections.abc import Collection
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data.validate.checks import check_labels, check_row_values
from mtl_seq.errors import DataError, SchemaError, rows_text
from mtl_seq.records import FloatArray
from mtl_seq.schema import Schema

__all__ = [
    *("choose_control", "logged_propensity", "random_rows", "read_labels", "user_codes"),
    "versions",
]

CONTROL = "multitask"
"""Default control: several tasks, CVR masked to clicks."""


def read_labels(schema: Schema, log: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Validated click and conversion of each row; features may be absent."""
    absent = [column for column in schema.labels.values() if column not in log.columns]
    if absent:
        raise SchemaError(
            f"the log must hold the label columns {absent}, found {list(log.columns)}: add them, "
            "or pass the schema of this log"
        )
    if len(log) == 0:
        raise DataError("the log must hold at least one row, found an empty one")
    check_labels(schema, log)
    first, last = schema.labels[schema.funnel.first], schema.labels[schema.funnel.last]
    return log[first].to_numpy(dtype=np.float64), log[last].to_numpy(dtype=np.float64)


def user_codes(schema: Schema, log: pd.DataFrame) -> NDArray[np.int64]:
    """Codes of the users to resample; of the rows where the log has no user column."""
    if schema.group is None or schema.group not in log.columns:
        return np.arange(len(log), dtype=np.int64)
    return np.asarray(pd.factorize(log[schema.group], use_na_sentinel=False)[0], dtype=np.int64)


def logged_propensity(schema: Schema, log: pd.DataFrame) -> dict[str, FloatArray]:
    """The logged propensity, in (0, 1], by its name; empty where the log has none."""
    if schema.propensity is None or schema.propensity not in log.columns:
        return {}
    check_row_values(replace(schema, weight=None), log)
    return {"logged propensity": log[schema.propensity].to_numpy(dtype=np.float64)}


def random_rows(log: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Rows that the log marks as shown at random: some rows, but not all."""
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


def choose_control(control: str | None, models: Collection[str], naive: str) -> str | None:
    """The model that the others are compared with: as named, or multitask, or the naive one."""
    if control is not None and control not in models:
        raise DataError(f"`control` must be one of the models {list(models)}, found {control!r}")
    return control or next((name for name in (CONTROL, naive) if name in models), None)


def versions() -> str:
    """Versions of Python and the packages that matter."""
    named = ("mtl_seq", "torch", "numpy", "pandas", "lightning")
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in named)]
    )
