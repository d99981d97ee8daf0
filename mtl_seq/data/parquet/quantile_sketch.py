"""Moments and quantiles of numbers that come in pieces."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "Sketch"]

FloatArray = NDArray[np.float64]

_POINTS = 1 << 18


class Moments:
    """Mean and standard deviation, summed about a running mean so that no digits are lost."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, numbers: FloatArray) -> None:
        """Take in numbers; none may be NaN."""
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
        """Standard deviation; NaN of nothing."""
        return float(np.sqrt(self._squares / self.count)) if self.count else float("nan")


class Sketch:
    """Quantiles: exact up to a quarter of a million different numbers, close from there on.

    Numbers are kept sorted with their counts. Where there are more than `points`, neighbours are
    joined to shares of the rows as even as they can be, so that after m joinings the rank of a
    quantile is off by at most ``m / points`` of the rows.

    Args:
        points: So many different numbers are kept.
    """

    def __init__(self, points: int = _POINTS) -> None:
        self._points = points
        self._numbers: NDArray[Any] = np.zeros(0)
        self._counts = np.zeros(0, dtype=np.int64)
        self._new: list[NDArray[Any]] = []
        self.exact = True

    def add(self, numbers: NDArray[Any]) -> None:
        """Take in numbers, all of one type; none may be NaN."""
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
        found: FloatArray = low + (high - low) * (rank - np.floor(rank))
        return found

    def at_most(self, rows: int) -> Any:
        """The greatest number that no more than so many rows are up to; None where none is."""
        self._join()
        place = int(np.searchsorted(np.cumsum(self._counts), rows, side="right"))
        return self._numbers[place - 1] if place else None

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
            self.exact = False
            ends = np.cumsum(self._counts)
            self._set(self._numbers, self._counts, (ends - 1) * self._points // ends[-1])

    def _set(self, numbers: NDArray[Any], counts: NDArray[np.int64], key: NDArray[Any]) -> None:
        """Join neighbours with equal keys into the last of them."""
        last = np.flatnonzero(np.append(key[1:] != key[:-1], True))
        self._numbers = numbers[last]
        self._counts = np.diff(np.cumsum(counts)[last], prepend=0)
