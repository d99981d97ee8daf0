"""Data frames of fixed columns, and the JSON form of a report's values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

__all__ = ["COUNT", "NUMBER", "TEXT", "FrameColumns", "from_json", "make_frame", "to_json"]

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


def from_json(kind: Any, content: Any) -> Any:
    """Value of a type from what `to_json` made of it.

    Args:
        kind: Type hint: a record (named tuple or dataclass), an array of numbers, a frame as
            ``Annotated[pd.DataFrame, columns]``, and tuples, dicts and optional values of such;
            values of any other type are returned as they are.
        content: The JSON form.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if kind is float:
        return math.nan if content is None else content
    if origin is np.ndarray:
        return np.array([from_json(float, each) for each in content], dtype=np.float64)
    if content is None:
        return None
    if origin in (Union, UnionType):
        return from_json(parts[0], content)
    if origin is Annotated:
        return make_frame(content, parts[1])
    if origin is tuple:
        return tuple(from_json(parts[0], each) for each in content)
    if origin is dict:
        return {parts[0](key): from_json(parts[1], each) for key, each in content.items()}
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{n: from_json(hint, content[n]) for n, hint in hints.items() if n in content})
    return content
