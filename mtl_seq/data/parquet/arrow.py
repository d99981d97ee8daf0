"""Arrow tables as frames, with every value exact."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["frame_of", "series_of"]

_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")


def frame_of(
    rows: "pa.RecordBatch | pa.Table", index: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Convert rows to a frame.

    Integers with missing values become pandas' ``Int64``: Arrow would convert them to floats, which
    changes ids from 2^53 on.

    Args:
        rows: The rows.
        index: ``(N,)`` the frame's index; None for the one stored in the file, else 0 to N - 1.
    """
    import pyarrow as pa

    nullable = {getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")() for name in _INTEGERS}
    gaps = {
        field.name
        for field in rows.schema
        if pa.types.is_integer(field.type) and rows[field.name].null_count
    }
    whole = [name for name in rows.schema.names if name not in gaps]
    if index is not None:
        rows = rows.replace_schema_metadata(None)
    if not gaps:
        frame: pd.DataFrame = rows.to_pandas(use_threads=False)
    else:
        frame = rows.select(whole).to_pandas(use_threads=False)
        for name in gaps:
            frame[name] = rows[name].to_pandas(types_mapper=nullable.get).array
        frame = frame[[name for name in rows.schema.names if name in frame.columns]]
    return frame if index is None else frame.set_axis(index, axis=0)


def series_of(values: "pa.Array") -> pd.Series:
    """Convert one column, as `frame_of` does."""
    import pyarrow as pa

    return frame_of(pa.record_batch([values], names=["values"]))["values"]
