"""Vocabularies: ids to rows of an embedding table, exact for int64 and strings; row 0 is unseen."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data.encode.id_values import distinct, normalised
from mtl_seq.errors import DataError
from mtl_seq.schema import Schema

__all__ = [
    "AnyVocabulary",
    "HashedVocabulary",
    "Vocabulary",
    "hashed_vocabularies",
    "vocabulary_from",
]

_SPARSEST = 8
"""Keys are looked up in a dense table of at most so many entries per key."""


class Vocabulary:
    """The ids of one column, in a fixed order.

    Row 0 is for unseen ids; known ids have rows 1 to N; missing values have the last row where
    training had some.

    Args:
        column: Name of the column, for messages.
        keys: The ids, all integers or all strings, without repeats.
        missing: Whether missing values have a row.
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
            min_count: Ids seen less often have no row to themselves.

        Raises:
            DataError: The values are neither integers nor strings.
        """
        return cls.fit_encode(column, values, min_count=min_count)[0]

    @classmethod
    def fit_encode(
        cls, column: str, values: pd.Series, *, min_count: int = 1
    ) -> tuple["Vocabulary", NDArray[np.int64]]:
        """Learn the ids of a column and encode it: `fit` and `encode`, faster than both.

        Different values are counted and sorted once, not the rows.

        Args:
            column: Name of the column.
            values: Its values.
            min_count: Ids seen less often have no row to themselves.

        Returns:
            The vocabulary and the rows of the values.

        Raises:
            DataError: The values are neither integers nor strings.
        """
        if isinstance(values.dtype, pd.StringDtype):
            # Arrow finds the different texts ten times as fast as Python.
            place, texts = pd.factorize(values, use_na_sentinel=False)
            kept, null = normalised(column, pd.Series(texts, dtype=object))
            counts = np.bincount(place, minlength=len(texts))[~null]
            order = np.argsort(kept)
            keys = kept[order][counts[order] >= min_count]
            vocabulary = cls(column, keys, missing=bool(null.any()))
            return vocabulary, vocabulary._with_missing(kept, null)[place]
        kept, null = normalised(column, values)
        different, counts, place = distinct(kept)
        vocabulary = cls(column, different[counts >= min_count], missing=bool(null.any()))
        if place is None:
            return vocabulary, vocabulary._with_missing(kept, null)
        rows = np.zeros(len(values), dtype=np.int64)
        rows[~null] = vocabulary.rows_of(different)[place]
        if vocabulary.missing:
            rows[null] = vocabulary.rows - 1
        return vocabulary, rows

    @property
    def keys(self) -> NDArray[Any]:
        """``(N,)`` the ids, in the order of their rows."""
        keys: NDArray[Any] = self._index.to_numpy()
        return keys

    @property
    def rows(self) -> int:
        """Rows of an embedding table of this column."""
        return 1 + len(self._index) + self.missing

    @cached_property
    def _table(self) -> tuple[np.int64, NDArray[np.int64]] | None:
        """The smallest key, and rows by the distance to it; None where keys are too far apart."""
        if self.kind != "int" or not len(self._index):
            return None
        keys = self._index.to_numpy()
        least = keys.min()
        span = int(keys.max()) - int(least) + 1
        if span > _SPARSEST * len(keys):
            return None
        # Keys outside the range are clipped to the ends, which hold row 0.
        table = np.zeros(span + 2, dtype=np.int64)
        table[keys - least + 1] = np.arange(1, len(keys) + 1)
        return least, table

    def encode(self, values: pd.Series) -> NDArray[np.int64]:
        """Rows of the values; 0 for what is not in the vocabulary.

        Raises:
            DataError: Integers where strings were learned, or vice versa.
        """
        if isinstance(values.dtype, pd.StringDtype):
            return _by_value(values, self.encode)
        kept, null = normalised(self.column, values)
        kind = "int" if kept.dtype.kind == "i" else "str"
        if len(kept) and len(self._index) and kind != self.kind:
            raise DataError(
                f"column {self.column!r} held {_PLURAL[self.kind]} when the codec was fitted, "
                f"found {_PLURAL[kind]}: convert it to the same type"
            )
        return self._with_missing(kept, null)

    def _with_missing(self, kept: NDArray[Any], null: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows of a column from the parts that `normalised` gives."""
        if len(kept) == len(null):
            return self.rows_of(kept)
        codes = np.zeros(len(null), dtype=np.int64)
        codes[~null] = self.rows_of(kept)
        if self.missing:
            codes[null] = self.rows - 1
        return codes

    def rows_of(self, kept: NDArray[Any]) -> NDArray[np.int64]:
        """Rows of values as `normalised` gives them."""
        if self._table is not None and kept.dtype.kind == "i":
            least, table = self._table
            # A difference beyond int64 wraps around to the other end, which holds no key.
            return table.take(kept - least + 1, mode="clip")
        rows: NDArray[np.int64] = self._index.get_indexer(pd.Index(kept)) + 1
        return rows

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return {"kind": self.kind, "keys": self._index.tolist(), "missing": self.missing}

    @classmethod
    def from_dict(cls, column: str, content: dict[str, Any]) -> "Vocabulary":
        """Read what `to_dict` wrote."""
        keys: Sequence[Any] = content["keys"]
        dtype = np.int64 if content["kind"] == "int" else object
        return cls(column, np.array(keys, dtype=dtype), missing=content["missing"])


class HashedVocabulary:
    """Hashed rows of an embedding table, for columns with too many or ever new values.

    Values have rows 1 to `buckets`, with collisions; missing values have the last row. Row 0 is
    used by id dropout only, since no value is unseen. A number and its text have different rows.

    Args:
        column: Name of the column, for messages.
        buckets: How many rows the values share.

    Raises:
        DataError: Fewer than one.

    >>> HashedVocabulary("query", 1000).encode(pd.Series(["red shoes", "red shoes", None]))
    array([ 840,  840, 1001])
    """

    def __init__(self, column: str, buckets: int) -> None:
        if buckets < 1:
            raise DataError(f"`hashed` must give {column!r} at least 1 row, found {buckets}")
        self.column = column
        self.buckets = buckets

    @property
    def rows(self) -> int:
        """Rows of an embedding table of this column."""
        return self.buckets + 2

    def encode(self, values: pd.Series) -> NDArray[np.int64]:
        """Rows of the values.

        Raises:
            DataError: Values that are neither integers nor strings.
        """
        if isinstance(values.dtype, pd.StringDtype):
            return _by_value(values, self.encode)
        kept, null = normalised(self.column, values)
        codes = np.full(len(values), self.buckets + 1, dtype=np.int64)
        codes[~null] = pd.util.hash_array(kept) % np.uint64(self.buckets) + np.uint64(1)
        return codes

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `vocabulary_from` reads it."""
        return {"kind": "hashed", "buckets": self.buckets}


def _by_value(
    values: pd.Series, encode: Callable[[pd.Series], NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Encode each different text once; Arrow finds them ten times as fast as Python."""
    codes, known = pd.factorize(values, use_na_sentinel=False)
    rows: NDArray[np.int64] = encode(pd.Series(known, dtype=object))[codes]
    return rows


AnyVocabulary = Vocabulary | HashedVocabulary


def vocabulary_from(column: str, content: dict[str, Any]) -> AnyVocabulary:
    """Read what `to_dict` of either kind wrote."""
    if content["kind"] == "hashed":
        return HashedVocabulary(column, content["buckets"])
    return Vocabulary.from_dict(column, content)


def hashed_vocabularies(schema: Schema, hashed: Mapping[str, int]) -> dict[str, AnyVocabulary]:
    """The vocabularies that need no fitting.

    Raises:
        DataError: A column that is no id or bag, or fewer than one bucket.
    """
    known = (*schema.ids, *schema.bags)
    unknown = [column for column in hashed if column not in known]
    if unknown:
        raise DataError(f"`hashed` must name some of the ids and bags {known}, found {unknown}")
    return {column: HashedVocabulary(column, buckets) for column, buckets in hashed.items()}


_PLURAL = {"int": "integers", "str": "strings"}
