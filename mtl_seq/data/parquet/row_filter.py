"""Which rows of a log belong to a source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Drawn", "Keep", "OneSide", "drawn", "moments_of"]


class Keep(Protocol):
    """Says which rows belong, and how many of each row group do."""

    @property
    def columns(self) -> Sequence[str]:
        """What must be read to tell."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """``(G,)`` rows that belong, by row group."""

    def mask(self, rows: "pa.RecordBatch", numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(n,)`` whether each belongs, from its columns or its number in the log."""


@dataclass(frozen=True)
class OneSide:
    """Rows up to a value of a column, or those after it.

    Attributes:
        column: Numbers or times.
        last: The last value before the cut.
        after: Which side.
        rows: ``(G,)`` rows that belong, by row group.
    """

    column: str
    last: Any
    after: bool
    rows: NDArray[np.int64]

    @property
    def columns(self) -> Sequence[str]:
        """The one that is compared."""
        return (self.column,)

    def mask(
        self,
        rows: "pa.RecordBatch",
        numbers: NDArray[np.int64],  # noqa: ARG002
    ) -> NDArray[np.bool_]:
        """``(n,)`` whether each belongs."""
        later: NDArray[np.bool_] = moments_of(self.column, rows[self.column]) > self.last
        return later if self.after else ~later


@dataclass(frozen=True)
class Drawn:
    """Rows drawn by their number, or the others.

    Attributes:
        share: Of all rows, this share is drawn on average.
        seed: Seed of the draw.
        inside: Whether the drawn rows belong, or the others.
        rows: ``(G,)`` rows that belong, by row group.
    """

    share: float
    seed: int
    inside: bool
    rows: NDArray[np.int64]

    @property
    def columns(self) -> Sequence[str]:
        """None is needed."""
        return ()

    def mask(
        self,
        rows: "pa.RecordBatch",  # noqa: ARG002
        numbers: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """``(n,)`` whether each belongs."""
        return np.equal(drawn(numbers, self.share, self.seed), self.inside)


def moments_of(column: str, values: "pa.Array") -> NDArray[Any]:
    """``(n,)`` times as numbers that sort alike: int64 or float64.

    Raises:
        DataError: One that is missing, or no time.
    """
    from pyarrow import types

    if types.is_timestamp(values.type) or types.is_date(values.type):
        values = values.cast("timestamp[us]" if types.is_date(values.type) else values.type)
        values = values.cast("int64")
    if not (types.is_integer(values.type) or types.is_floating(values.type)):
        raise DataError(
            f"time {column!r} must hold numbers, dates or times, found type {values.type}: convert "
            "it, since text sorts by its letters"
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


def drawn(numbers: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are drawn: each with this probability, by a hash of its number and the seed.

    >>> drawn(np.arange(8), 0.5, seed=0).astype(int)
    array([0, 0, 0, 0, 0, 0, 1, 1])
    """
    start = np.random.SeedSequence([0x6472617765, seed]).generate_state(1, np.uint64)[0]
    # The finaliser of splitmix64, by which neighbours become as good as independent.
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    unit = (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.asarray(unit < share, dtype=np.bool_)
