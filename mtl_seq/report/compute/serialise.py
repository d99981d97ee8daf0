"""Data frames of fixed columns, and the JSON form of a report's values."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["COUNT", "NUMBER", "TEXT", "FrameColumns", "array_from_json", "make_frame", "to_json"]

TEXT, NUMBER, COUNT = object, np.float64, np.int64
"""Column types; text may be None."""

FrameColumns = Mapping[str, Any]
"""Type of each column, in the order of the columns."""


def make_frame(records: Iterable[Any], columns: FrameColumns) -> pd.DataFrame:
    """Data frame of records (tuples in the order of the columns, or dicts) with fixed types."""
    return pd.DataFrame(list(records), columns=list(columns), dtype=object).astype(dict(columns))


def to_json(value: Any) -> Any:
    """Value that `json.dumps` takes: a frame as records, NaN as None, numbers as keys as text."""
    if isinstance(value, pd.DataFrame):
        native = value.astype(object)
        return native.where(native.notna(), None).to_dict("records")
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {
            f"{key:g}" if isinstance(key, float) else key: to_json(each)
            for key, each in value.items()
        }
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return to_json(value._asdict())
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return value


def array_from_json(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Array of numbers; None becomes NaN."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
