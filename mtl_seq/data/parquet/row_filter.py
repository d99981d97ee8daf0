"""Row filters: which rows of a log belong to a source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["HoldOut", "OneSide", "RowFilter", "row_hash", "time_values"]


class RowFilter(Protocol):
    """Which rows belong, and how many of each row group do."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that `mask` reads."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """``(G,)`` rows that belong, by row group."""

    def mask(self, rows: "pa.RecordBatch", numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(n,)`` whether each row belongs, from its columns and its number in the log."""


@dataclass(frozen=True)
class HoldOut:
    """The hold-out rule: which rows of a log are held out.

    A row is drawn where the hash of its number and the seed lies below `share`. Without a time the
    drawn rows are held out. With one, every row after `cut` is, no row before it, and of the rows
    at `cut` the drawn ones.

    Attributes:
        share: Probability that a row is drawn.
        seed: Seed of the hash.
        cut: The time at which rows are drawn; None without a time.
    """

    share: float
    seed: int
    cut: Any = None

    def mask(self, times: NDArray[Any] | None, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(n,)`` whether each row is held out.

        Args:
            times: ``(n,)`` of `time_values`; None without a time.
            numbers: ``(n,)`` number of each row in the log.
        """
        drawn = row_hash(numbers, self.seed) < self.share
        if times is None:
            return np.asarray(drawn)
        return np.asarray((times > self.cut) | ((times == self.cut) & drawn))


@dataclass(frozen=True)
class OneSide:
    """One side of a split.

    Attributes:
        rule: Which rows are held out.
        time: The column that the rule compares; None without a time.
        held_out: Whether the held-out rows belong, or the others.
        rows: ``(G,)`` rows that belong, by row group.
    """

    rule: HoldOut
    time: str | None
    held_out: bool
    rows: NDArray[np.int64]

    @property
    def columns(self) -> Sequence[str]:
        """The time, if there is one."""
        return () if self.time is None else (self.time,)

    def mask(self, rows: "pa.RecordBatch", numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(n,)`` whether each row belongs."""
        times = None if self.time is None else time_values(self.time, rows[self.time])
        return np.equal(self.rule.mask(times, numbers), self.held_out)


def time_values(column: str, values: "pa.Array") -> NDArray[Any]:
    """``(n,)`` times as numbers of the same order: int64 or float64.

    Raises:
        DataError: A time that is missing, or of a type without an order in time.
    """
    from pyarrow import types

    if types.is_timestamp(values.type) or types.is_date(values.type):
        values = values.cast("timestamp[us]" if types.is_date(values.type) else values.type)
        values = values.cast("int64")
    if types.is_boolean(values.type):
        values = values.cast("int8")
    if not (types.is_integer(values.type) or types.is_floating(values.type)):
        raise DataError(
            f"time {column!r} must hold numbers, dates or times, found type {values.type}: convert "
            "it, for example with pandas.to_datetime, since text sorts by its letters"
        )
    missing = values.is_null(nan_is_null=True).sum().as_py()
    if missing:
        raise DataError(
            f"time {column!r} must be known in every row, found {missing:,} of {len(values):,} "
            "without it: fill or drop those rows"
        )
    dtype = np.int64 if types.is_integer(values.type) else np.float64
    numbers: NDArray[Any] = values.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    return numbers


def row_hash(numbers: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """``(n,)`` uniform in [0, 1): a hash of each row's number and the seed.

    >>> row_hash(np.arange(4), seed=0).round(3)
    array([0.996, 0.81 , 0.748, 0.992])
    """
    start = np.random.SeedSequence([0x6472617765, seed]).generate_state(1, np.uint64)[0]
    # The finaliser of splitmix64, which makes the hashes of neighbours practically independent.
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)).astype(np.float64) * 2.0**-53)
