"""Training and validation rows of a log on disk."""

from itertools import pairwise
from typing import Any

import numpy as np

from mtl_seq.data.parquet.quantile_sketch import Sketch
from mtl_seq.data.parquet.row_filter import Drawn, Keep, OneSide, drawn, moments_of
from mtl_seq.data.parquet.source import Source
from mtl_seq.errors import DataError

__all__ = ["split_source"]


def split_source(
    source: Source, share: float, *, time: str | None = None, seed: int = 0
) -> tuple[Source, Source]:
    """The rows of a log in two: those to train on, and those held out.

    With a time, the latest rows are held out, since a log is used on later ones: at least `share`
    of them, since rows of one moment stay together. The time is read once, and once more in the row
    groups that the cut goes through. Without a time, each row is held out with probability `share`,
    by a hash of its number.

    Args:
        source: All rows.
        share: Share of the rows to hold out, in (0, 1).
        time: Column of numbers, dates or times to split by.
        seed: Seed of the draw where there is no time.

    Returns:
        Training rows and held-out rows, in the order of the log.

    Raises:
        DataError: A share outside its range or that leaves one side without rows, a time that is
            missing or no time, or a source that is itself one side of a split.
    """
    if not 0 < share < 1:
        raise DataError(f"`share` must lie in (0, 1), found {share}")
    if source.keep is not None:
        raise DataError("a source that is one side of a split cannot be split: split the whole log")
    sides = _by_draw(source, share, seed) if time is None else _by_time(source, share, time)
    for side, name in zip(sides, ("training", "held-out"), strict=True):
        if not side.rows.sum():
            raise DataError(
                f"`share` must leave {name} rows, found none among {source.rows:,} with {share}"
                + (f": all of them have the same {time!r}" if time else "")
            )
    fitted, held = (Source(source.files, source.columns, keep=side) for side in sides)
    return fitted, held


def _by_draw(source: Source, share: float, seed: int) -> tuple[Keep, Keep]:
    ends = source.positions
    held = np.array(
        [drawn(np.arange(low, high), share, seed).sum() for low, high in pairwise(ends)],
        dtype=np.int64,
    )
    return (
        Drawn(share, seed, False, source.group_rows - held),
        Drawn(share, seed, True, held),
    )


def _by_time(source: Source, share: float, column: str) -> tuple[Keep, Keep]:
    times = source.select([column])
    sketch, bounds = Sketch(), []
    for group in range(len(times.group_rows)):
        found = [moments_of(column, piece.rows[column]) for piece in times.read(group)]
        for part in found:
            sketch.add(part)
        bounds.append((min(map(np.min, found)), max(map(np.max, found))) if found else (None, None))
    last = sketch.at_most(source.rows - round(share * source.rows))
    before = np.array(
        [
            _rows_up_to(times, group, column, last, *bound) if last is not None else 0
            for group, bound in enumerate(bounds)
        ],
        dtype=np.int64,
    )
    return (
        OneSide(column, last, False, before),
        OneSide(column, last, True, source.group_rows - before),
    )


def _rows_up_to(source: Source, group: int, column: str, last: Any, low: Any, high: Any) -> int:
    rows = int(source.group_rows[group])
    if not rows or high <= last:
        return rows
    if low > last:
        return 0
    pieces = source.read(group)
    return sum(int((moments_of(column, piece.rows[column]) <= last).sum()) for piece in pieces)
