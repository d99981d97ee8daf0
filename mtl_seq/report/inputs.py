"""What a report reads of a log, and what it says of where its figures come from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import check_labels
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.report.measures import LEVEL
from mtl_seq.schema import Schema

__all__ = ["facts_of", "groups", "observed"]

FloatArray = NDArray[np.float64]


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


def facts_of(
    schema: Schema,
    log: pd.DataFrame,
    click: NDArray[np.bool_],
    checkpoint_rule: str | None,
    replicates: int,
    facts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What a report was made from, the caller's own facts first."""
    grouped = schema.group is not None and schema.group in log.columns
    unit = f"users ({schema.group})" if grouped else "impressions (the schema names no group)"
    weights = {"row weights": "not used"} if schema.weight else {}
    return {
        **(facts or {}),
        "impressions": len(log),
        "clicks": int(click.sum()),
        "CTR": float(click.mean()),
        "intervals": f"{LEVEL:.0%}, bootstrap of {unit}, {replicates} resamples, paired over "
        "models",
        **weights,
        "checkpoint rule": checkpoint_rule or "not stated",
    }
