"""Counts of the values of a column that is read in chunks."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.data.encode.id_values import normalised
from mtl_seq.data.parquet.arrow import series_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KeyReader", "RunningCounts", "ValueCounts", "count_values"]

IntArray = NDArray[np.int64]

_FEWEST_PENDING = 1 << 17


class ValueCounts(NamedTuple):
    """Values and their counts.

    Attributes:
        keys: ``(U,)`` sorted, without repeats.
        counts: ``(U,)``.
    """

    keys: IntArray
    counts: IntArray


def count_values(keys: IntArray, counts: IntArray | None = None) -> ValueCounts:
    """Sum the counts of equal keys; without counts each key counts once.

    >>> count_values(np.array([5, 3, 5]))
    ValueCounts(keys=array([3, 5]), counts=array([1, 2]))
    """
    if counts is None:
        keys = np.sort(keys)
        starts = _starts(keys)
        return ValueCounts(keys[starts], np.diff(starts, append=len(keys)))
    order = np.argsort(keys)
    keys, counts = keys[order], counts[order]
    starts = _starts(keys)
    summed = np.add.reduceat(counts, starts) if len(keys) else counts
    return ValueCounts(keys[starts], summed)


def _starts(keys: IntArray) -> IntArray:
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))


class RunningCounts:
    """Counts of values that arrive in chunks.

    Sorted runs are merged once they hold as many values as were merged before, so that a value is
    moved only a few times, and memory holds about twice the different values.
    """

    def __init__(self) -> None:
        self._merged = ValueCounts(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        self._runs: list[ValueCounts] = []
        self._pending = 0

    def add(self, keys: IntArray) -> None:
        """Count some values."""
        run = count_values(keys)
        self._runs.append(run)
        self._pending += len(run.keys)
        if self._pending > max(len(self._merged.keys), _FEWEST_PENDING):
            self._merge()

    def result(self) -> ValueCounts:
        """Counts of all values."""
        self._merge()
        return self._merged

    def _merge(self) -> None:
        if self._runs:
            keys, counts = zip(self._merged, *self._runs, strict=True)
            self._merged = count_values(np.concatenate(keys), np.concatenate(counts))
        self._runs, self._pending = [], 0


class KeyReader:
    """A column's values as int64 keys: integers unchanged, texts numbered by first occurrence.

    Args:
        column: Name of the column, for messages.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self._texts: dict[str, int] = {}
        self._kind: str | None = None

    @property
    def texts(self) -> list[str] | None:
        """The text of each key; None where keys are the values."""
        return list(self._texts) if self._kind == "text" else None

    def read(self, values: "pa.Array") -> tuple[IntArray, NDArray[np.bool_]]:
        """Keys of the values that are not missing, and ``(n,)`` where values are missing.

        Raises:
            DataError: Values that are neither integers nor texts; see `normalised`.
        """
        import pyarrow as pa

        if pa.types.is_signed_integer(values.type):
            null = _bools(values.is_null())
            kept = values.drop_null() if values.null_count else values
            return kept.to_numpy(zero_copy_only=False).astype(np.int64, copy=False), null
        if pa.types.is_null(values.type):
            return np.zeros(0, dtype=np.int64), np.ones(len(values), dtype=bool)
        coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        known = series_of(coded.dictionary)
        kept, absent = normalised(self.column, known)
        place = np.full(len(known) + 1, -1, dtype=np.int64)
        place[:-1][~absent] = np.arange(len(kept))
        codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        key = place[codes]
        null = key < 0
        return self._keys(kept)[key[~null]], null

    def _keys(self, kept: NDArray[np.generic]) -> IntArray:
        if kept.dtype.kind == "i":
            return kept.astype(np.int64)
        self._kind = "text"
        texts = self._texts
        return np.array([texts.setdefault(text, len(texts)) for text in kept], dtype=np.int64)


def _bools(values: "pa.Array") -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)
