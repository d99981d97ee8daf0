"""Ids to table rows, exactly: integers stay int64, strings stay strings, 0 is the unseen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["Vocabulary", "normalised"]

_MANTISSA = {2: 11, 4: 24, 8: 53}
"""Bits of a float of so many bytes; from 2 to that power on, neighbours are more than 1 apart."""


class Vocabulary:
    """The ids of one column, in a fixed order.

    Row 0 is for ids that are not in it; ids take rows 1 to N; a missing value has the last row of
    its own where it was seen in training.

    Args:
        column: Name of the column, for messages.
        keys: The ids, all integers or all strings, without repeats.
        missing: Whether a missing value has a row of its own.
    """

    def __init__(self, column: str, keys: NDArray[Any], *, missing: bool) -> None:
        self.column = column
        self.kind = "int" if keys.dtype.kind == "i" else "str"
        self.missing = missing
        self._index = pd.Index(keys if self.kind == "int" else keys.astype(object))

    @classmethod
    def fit(cls, column: str, values: pd.Series, *, min_count: int = 1) -> "Vocabulary":
        """Learn the ids of a column.

        Args:
            column: Name of the column.
            values: Its values.
            min_count: Ids seen less often have no row of their own.

        Raises:
            DataError: The values are neither integers nor strings.
        """
        kept, null = normalised(column, values)
        keys, counts = np.unique(kept, return_counts=True)
        return cls(column, keys[counts >= min_count], missing=bool(null.any()))

    @property
    def rows(self) -> int:
        """How many rows a table for this column needs."""
        return 1 + len(self._index) + self.missing

    def encode(self, values: pd.Series) -> NDArray[np.int64]:
        """Rows of the values; 0 for what is not in the vocabulary.

        Raises:
            DataError: Integers where strings were learned, or the other way round.
        """
        kept, null = normalised(self.column, values)
        kind = "int" if kept.dtype.kind == "i" else "str"
        if len(kept) and len(self._index) and kind != self.kind:
            raise DataError(
                f"column {self.column!r} held {_PLURAL[self.kind]} when the codec was fitted, "
                f"found {_PLURAL[kind]}: convert it to the same type"
            )
        codes = np.zeros(len(values), dtype=np.int64)
        codes[~null] = self._index.get_indexer(pd.Index(kept)) + 1
        if self.missing:
            codes[null] = len(self._index) + 1
        return codes

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return {"kind": self.kind, "keys": self._index.tolist(), "missing": self.missing}

    @classmethod
    def from_dict(cls, column: str, content: dict[str, Any]) -> "Vocabulary":
        """Read what `to_dict` wrote."""
        keys: Sequence[Any] = content["keys"]
        dtype = np.int64 if content["kind"] == "int" else object
        return cls(column, np.array(keys, dtype=dtype), missing=content["missing"])


_PLURAL = {"int": "integers", "str": "strings"}


def normalised(column: str, values: pd.Series) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values that are not missing, as int64 or as strings, and where values are missing.

    Raises:
        DataError: Fractions, integers that a float has rounded, or integers past int64.
    """
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
            f"id column {column!r} must hold integers or strings, found {values[bad][0]!r}: "
            "declare it as `dense`, or convert it to integers or strings where it is read"
        )
    whole: NDArray[np.int64] = values.astype(np.int64)
    return whole
