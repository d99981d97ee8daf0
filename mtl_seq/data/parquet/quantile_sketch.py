"""Moments and quantiles of numbers that arrive in batches."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Located", "Moments", "Sketch"]

FloatArray = NDArray[np.float64]

_POINTS = 1 << 18


class Moments:
    """Mean and standard deviation, summed about a running mean for numerical stability."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, numbers: FloatArray) -> None:
        """Add numbers; none may be NaN."""
        if not len(numbers):
            return
        mean = float(numbers.mean())
        count, step = self.count + len(numbers), mean - self.mean
        self._squares += float(np.square(numbers - mean).sum())
        self._squares += step**2 * self.count * len(numbers) / count
        self.mean += step * len(numbers) / count
        self.count = count

    @property
    def deviation(self) -> float:
        """Standard deviation; NaN without numbers."""
        return float(np.sqrt(self._squares / self.count)) if self.count else float("nan")


class Located(NamedTuple):
    """Where the row of some rank lies.

    Attributes:
        above: A number below that row's; None where there is none.
        number: That row's number, or one above it where the sketch is not exact.
        rows: Rows that have this number.
        after: Rows above it.
    """

    above: Any
    number: Any
    rows: int
    after: int


class Sketch:
    """Quantiles: exact up to a quarter of a million different numbers, approximate above.

    Numbers are kept sorted with their counts. Where there are more than `points`, neighbours are
    joined to shares of the rows as even as possible, never more than one part in `points` of the
    rows, so that after m joins the rank of a quantile is off by at most ``m / points`` of the rows.

    Args:
        points: About so many different numbers are kept.
    """

    def __init__(self, points: int = _POINTS) -> None:
        self._points = points
        self._numbers: NDArray[Any] = np.zeros(0)
        self._counts = np.zeros(0, dtype=np.int64)
        self._new: list[NDArray[Any]] = []
        self._moved = 0
        self.rows = 0

    @property
    def exact(self) -> bool:
        """Whether no numbers were joined."""
        self._join()
        return self._moved == 0

    def add(self, numbers: NDArray[Any]) -> None:
        """Add numbers, all of one type; none may be NaN."""
        self.rows += len(numbers)
        self._new.append(numbers)
        if sum(map(len, self._new)) > 4 * self._points:
            self._join()

    def quantiles(self, at: FloatArray) -> FloatArray:
        """Quantiles, interpolated linearly between rows as `numpy.quantile` does."""
        self._join()
        ends = np.cumsum(self._counts)
        rank = np.asarray(at, dtype=np.float64) * (ends[-1] - 1)
        low, high = (
            self._numbers[np.searchsorted(ends, whole, side="right")]
            for whole in (np.floor(rank), np.ceil(rank))
        )
        values: FloatArray = low + (high - low) * (rank - np.floor(rank))
        return values

    def locate(self, rank: int) -> Located:
        """Where the row lies that so many rows come before, in the order of their numbers."""
        self._join()
        ends = np.cumsum(self._counts)
        place = int(np.searchsorted(ends, rank, side="right"))
        # Joining only moves rows up: no more than `moved` of those up to a number lie above it now.
        below = int(np.searchsorted(ends + self._moved, rank, side="right"))
        return Located(
            self._numbers[below - 1] if below else None,
            self._numbers[place],
            int(self._counts[place]),
            self.rows - int(ends[place]),
        )

    def _join(self) -> None:
        if not self._new:
            return
        old = [self._numbers] if len(self._numbers) else []
        numbers = np.concatenate([*old, *self._new])
        counts = np.ones(len(numbers), dtype=np.int64)
        counts[: len(self._counts)] = self._counts
        order = np.argsort(numbers)
        self._set(numbers[order], counts[order], numbers[order])
        self._new = []
        if len(self._numbers) > self._points:
            ends = np.cumsum(self._counts)
            first, last = ((x * self._points) // ends[-1] for x in (ends - self._counts, ends - 1))
            # A number that reaches from one share into another is joined with no other.
            self._moved += self._set(self._numbers, self._counts, 2 * last + (first < last))

    def _set(self, numbers: NDArray[Any], counts: NDArray[np.int64], key: NDArray[Any]) -> int:
        """Join neighbours with equal keys into the last; the most rows moved into any of them."""
        last = np.flatnonzero(np.append(key[1:] != key[:-1], True))
        self._numbers = numbers[last]
        self._counts = np.diff(np.cumsum(counts)[last], prepend=0)
        return int((self._counts - counts[last]).max(initial=0))
