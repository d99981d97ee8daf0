"""Shuffle plan: which rows are in which batch of an epoch, given the seed and the epoch.

The row groups are put in a random order, concatenated, and cut into streams of (nearly) equal
length; every batch takes an equal share of its rows from each stream. A process reads some of the
streams, hence their row groups and those that a cut goes through. The slices of all processes make
up the same batches for any number of processes. The rows of a stream are shuffled within buffers,
each with its own seed, so that reading can start at any batch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Buffer", "Plan", "RowRange", "split_evenly"]


class RowRange(NamedTuple):
    """Rows of one row group: ``start`` to ``stop``, counted within it."""

    group: int
    start: int
    stop: int


class Buffer(NamedTuple):
    """Rows of a stream that are shuffled together.

    Attributes:
        number: Index of the buffer within the stream.
        start: Its first row, counted within the stream.
        stop: The row after its last one.
    """

    number: int
    start: int
    stop: int


def split_evenly(rows: int, parts: int) -> NDArray[np.int64]:
    """``(parts + 1,)`` bounds of parts whose sizes differ by one row at most.

    >>> split_evenly(10, 4)
    array([ 0,  2,  5,  7, 10])
    """
    return np.arange(parts + 1, dtype=np.int64) * rows // parts


class Plan:
    """The batches of one epoch.

    Args:
        group_rows: ``(G,)`` rows of each row group.
        batch_size: Rows of a batch. A rest of fewer rows than streams joins the batch before it,
            so that every process has rows of every batch.
        streams: Number of streams.
        buffer: Rows of a stream that are shuffled together; 0 keeps the order of the log.
        seed: Seed of the order.
        epoch: The epoch; each has another order.
    """

    def __init__(
        self,
        group_rows: NDArray[np.int64],
        batch_size: int,
        *,
        streams: int,
        buffer: int,
        seed: int,
        epoch: int,
    ) -> None:
        self.streams, self.buffer = streams, buffer
        self._seed, self._epoch = seed, epoch
        rows = int(group_rows.sum())
        whole, rest = divmod(rows, batch_size)
        joined = whole > 0 and 0 < rest < streams
        self.batches = whole if joined or not rest else whole + 1
        self._full = split_evenly(batch_size, streams)
        self._last = split_evenly(rows - (self.batches - 1) * batch_size, streams)
        order = np.arange(len(group_rows))
        if buffer:
            order = self.rng().permutation(len(group_rows))
        self._order = order[group_rows[order] > 0]
        self._ends = np.cumsum(group_rows[self._order])
        lengths = (self.batches - 1) * np.diff(self._full) + np.diff(self._last)
        self._cuts = np.concatenate(([0], np.cumsum(lengths)))

    def rng(self, *key: int) -> np.random.Generator:
        """Generator of a stream's buffer; without a key, of the order of the row groups."""
        spawn = (self._epoch, *key)
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=spawn))

    def share(self, batch: int, stream: int) -> int:
        """Rows that a batch takes from a stream."""
        cuts = self._full if batch < self.batches - 1 else self._last
        return int(cuts[stream + 1] - cuts[stream])

    def buffers(self, stream: int, batch: int) -> Iterator[Buffer]:
        """Buffers of a stream, starting with the one that holds the first row of a batch.

        The first buffers of the streams differ in size, so that not all streams read at once.
        """
        length = int(self._cuts[stream + 1] - self._cuts[stream])
        size = self.buffer or _UNSHUFFLED
        first = max(size * (stream + 1) // self.streams, 1)
        start = self.done(stream, batch)
        if start >= length:  # a stream of which the last batch takes nothing
            return
        number = 0 if start < first else 1 + (start - first) // size
        while (low := 0 if number == 0 else first + (number - 1) * size) < length:
            yield Buffer(number, low, min(first + number * size, length))
            number += 1

    def done(self, stream: int, batch: int) -> int:
        """Rows of a stream in the batches before this one."""
        return batch * int(self._full[stream + 1] - self._full[stream])

    def row_ranges(self, stream: int, start: int) -> Iterator[RowRange]:
        """Ranges of the log that a stream's rows are in, starting with one of its rows."""
        low, high = int(self._cuts[stream]) + start, int(self._cuts[stream + 1])
        place = int(np.searchsorted(self._ends, low, side="right"))
        while low < high:
            begin = int(self._ends[place - 1]) if place else 0
            end = min(int(self._ends[place]), high)
            yield RowRange(int(self._order[place]), low - begin, end - begin)
            low, place = end, place + 1


_UNSHUFFLED = 32_768
