"""Values of id columns as int64 or strings, and their distinct values."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["distinct", "normalised"]

_MANTISSA = {2: 11, 4: 24, 8: 53}
"""Significand bits of a float by its bytes; above 2 to that power integers are not exact."""


def normalised(column: str, values: pd.Series) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values that are not missing, as int64 or strings, and a mask of the missing ones.

    Raises:
        DataError: Fractions, integers beyond the precision of a float, or integers beyond int64.
    """
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "bi":
        return values.to_numpy(dtype=np.int64), np.zeros(len(values), dtype=bool)
    null = values.isna().to_numpy()
    kept = values[~null]
    if isinstance(kept.dtype, pd.CategoricalDtype):
        kept = kept.astype(kept.dtype.categories.dtype)
    if pd.api.types.is_bool_dtype(kept.dtype) or pd.api.types.is_signed_integer_dtype(kept.dtype):
        return kept.to_numpy(dtype=np.int64), null
    if pd.api.types.is_unsigned_integer_dtype(kept.dtype):
        if len(kept) and int(kept.max()) > np.iinfo(np.int64).max:
            raise DataError(
                f"id column {column!r} must fit int64, found {kept.max()}: convert it to strings"
            )
        return kept.to_numpy(dtype=np.int64), null
    if pd.api.types.is_float_dtype(kept.dtype):
        return _whole(column, kept), null
    if len(kept) and all(isinstance(value, (int, np.integer)) for value in kept):
        beyond = [value for value in kept if not -(2**63) <= int(value) < 2**63]
        if beyond:
            raise DataError(
                f"id column {column!r} must fit int64, found {beyond[0]}: convert it to strings"
            )
        return kept.to_numpy(dtype=np.int64), null
    return kept.map(str).to_numpy(dtype=object), null


def _whole(column: str, kept: pd.Series) -> NDArray[np.int64]:
    values = kept.to_numpy(dtype=np.float64)
    bad = (
        ~np.isfinite(values)
        | (values != np.floor(values))
        | (np.abs(values) >= 2.0 ** _MANTISSA[kept.dtype.itemsize])
    )
    if bad.any():
        raise DataError(
            f"id column {column!r} must hold integers or strings, found {values[bad][0]}: "
            "declare it as `dense`, or convert it to integers or strings where it is read"
        )
    whole: NDArray[np.int64] = values.astype(np.int64)
    return whole


def distinct(
    kept: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64] | None]:
    """Sorted different values, their counts, and the position of each value among them.

    Integers that lie close together are counted in a table, and their positions are left out: a
    `Vocabulary` finds them as fast.
    """
    if kept.dtype.kind == "i" and len(kept):
        least = kept.min()
        span = int(kept.max()) - int(least) + 1
        if span <= len(kept):
            counts = np.bincount(kept - least, minlength=span)
            present = np.flatnonzero(counts)
            return present + least, counts[present], None
    place, different = pd.factorize(kept)
    order = np.argsort(different)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    counts = np.bincount(place, minlength=len(different))[order]
    return different[order], counts, rank[place]
