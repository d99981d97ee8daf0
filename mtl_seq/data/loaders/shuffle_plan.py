"""Which rows make which batch of an epoch: a function of the seed and the epoch alone.

The row groups are put into an order of the epoch and laid end to end. That line is cut into lanes
of (nearly) equal length, and every batch takes its share of rows from each lane. A process owns
some of the lanes, so that it reads its own row groups, and those that a cut goes through; whatever
the number of processes, their slices make the same batches. Within a lane the rows of a window are
shuffled, each window by a seed of its own, so that reading can begin at any batch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Plan", "Stretch", "Window", "split_evenly"]


class Stretch(NamedTuple):
    """Rows of one row group: ``start`` to ``stop``, counted within it."""

    group: int
    start: int
    stop: int


class Window(NamedTuple):
    """Rows of a lane that are shuffled together.

    Attributes:
        number: Which of the lane's windows.
        start: Its first row, counted within the lane.
        stop: The row after its last one.
    """

    number: int
    start: int
    stop: int


def split_evenly(rows: int, parts: int) -> NDArray[np.int64]:
    """``(parts + 1,)`` where to cut so that parts differ by one row at most.

    >>> split_evenly(10, 4)
    array([ 0,  2,  5,  7, 10])
    """
    return np.arange(parts + 1, dtype=np.int64) * rows // parts


class Plan:
    """The batches of one epoch.

    Args:
        group_rows: ``(G,)`` rows of each row group.
        batch_size: Rows of a batch. A rest of fewer rows than lanes joins the batch before it, so
            that no process is left without rows while others have some.
        lanes: How many there are.
        window: Rows that are shuffled together in a lane; 0 keeps the order of the log.
        seed: Seed of the order.
        epoch: Each has an order of its own.
    """

    def __init__(
        self,
        group_rows: NDArray[np.int64],
        batch_size: int,
        *,
        lanes: int,
        window: int,
        seed: int,
        epoch: int,
    ) -> None:
        self.lanes, self.window = lanes, window
        self._seed, self._epoch = seed, epoch
        rows = int(group_rows.sum())
        whole, rest = divmod(rows, batch_size)
        joined = whole > 0 and 0 < rest < lanes
        self.batches = whole if joined or not rest else whole + 1
        self._full = split_evenly(batch_size, lanes)
        self._last = split_evenly(rows - (self.batches - 1) * batch_size, lanes)
        order = np.arange(len(group_rows))
        if window:
            order = self.rng().permutation(len(group_rows))
        self._order = order[group_rows[order] > 0]
        self._ends = np.cumsum(group_rows[self._order])
        lengths = (self.batches - 1) * np.diff(self._full) + np.diff(self._last)
        self._cuts = np.concatenate(([0], np.cumsum(lengths)))

    def rng(self, *key: int) -> np.random.Generator:
        """Source of randomness of a lane's window, or without a key of the order."""
        spawn = (self._epoch, *key)
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=spawn))

    def share(self, batch: int, lane: int) -> int:
        """Rows that a batch takes from a lane."""
        cuts = self._full if batch < self.batches - 1 else self._last
        return int(cuts[lane + 1] - cuts[lane])

    def windows(self, lane: int, batch: int) -> Iterator[Window]:
        """Windows of a lane, from the one that holds the first row of a batch on.

        The first windows of the lanes differ in size, so that not all lanes have to read at once.
        """
        length = int(self._cuts[lane + 1] - self._cuts[lane])
        size = self.window or _UNSHUFFLED
        first = max(size * (lane + 1) // self.lanes, 1)
        start = self.done(lane, batch)
        if start >= length:  # a lane of which the last batch takes nothing
            return
        number = 0 if start < first else 1 + (start - first) // size
        while (low := 0 if number == 0 else first + (number - 1) * size) < length:
            yield Window(number, low, min(first + number * size, length))
            number += 1

    def done(self, lane: int, batch: int) -> int:
        """Rows of a lane that the batches before one have taken."""
        return batch * int(self._full[lane + 1] - self._full[lane])

    def stretches(self, lane: int, start: int) -> Iterator[Stretch]:
        """Where a lane's rows stand in the log, from one of them on."""
        low, high = int(self._cuts[lane]) + start, int(self._cuts[lane + 1])
        place = int(np.searchsorted(self._ends, low, side="right"))
        while low < high:
            begin = int(self._ends[place - 1]) if place else 0
            end = min(int(self._ends[place]), high)
            yield Stretch(int(self._order[place]), low - begin, end - begin)
            low, place = end, place + 1


_UNSHUFFLED = 32_768
