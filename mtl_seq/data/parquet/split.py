"""The hold-out rule: which rows of a log are held out, in a frame, a file or a stream."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data.parquet.quantile_sketch import Sketch
from mtl_seq.data.parquet.row_filter import HoldOut, OneSide, time_values
from mtl_seq.data.parquet.source import Source
from mtl_seq.errors import DataError, rows_text
from mtl_seq.schema import Schema

__all__ = ["split_frame", "split_source"]


def split_frame(
    schema: Schema, log: pd.DataFrame, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of training and of validation rows; the rule is that of `split_source`.

    Args:
        schema: The roles of the columns.
        log: All rows.
        share: Share of the rows to hold out, in (0, 1).
        seed: Seed of the draw.

    Returns:
        Two arrays of positions, each in the order of the log.

    Raises:
        DataError: A time that is missing or no time, or a share that leaves one side without rows
            or without clicks.
    """
    if not 0 < share < 1:
        raise DataError(f"`validation` must lie in (0, 1), found {share}")
    times, rule = None, HoldOut(share, seed)
    if schema.time is not None and len(log):
        times = _frame_times(schema.time, log)
        rule = _frame_rule(times, share, seed)
    held = rule.mask(times, np.arange(len(log)))
    click = log[schema.labels[schema.funnel.first]].to_numpy()
    for name, rows in (("training", ~held), ("validation", held)):
        if not (click[rows] == 1).any():
            raise DataError(
                f"the {name} rows must hold at least one click, found none in {rows.sum():,} of "
                f"{len(log):,} rows: change `validation`, or pass the validation rows to `fit`"
            )
    return np.flatnonzero(~held), np.flatnonzero(held)


def split_source(
    source: Source, share: float, *, time: str | None = None, seed: int = 0
) -> tuple[Source, Source]:
    """Split the rows of a log into those to train on and those held out.

    Without a time, each row is held out with probability `share`, by a hash of its number and the
    seed: a log that grows keeps the side of every row. With a time, the latest rows are held out,
    since a log is used on later ones: ``round(share * N)`` of them, where rows at the time of the
    cut are drawn by that hash, each with the same probability, so that their order in the log does
    not matter. The time is read once, and again in the row groups that the cut goes through.

    Args:
        source: All rows.
        share: Share of the rows to hold out, in (0, 1).
        time: Column of numbers, dates or times to split by.
        seed: Seed of the draw.

    Returns:
        Training rows and held-out rows, in the order of the log.

    Raises:
        DataError: A share outside its range or that leaves one side without rows, a time that is
            missing or no time, or a source that is itself one side of a split.
    """
    if not 0 < share < 1:
        raise DataError(f"`share` must lie in (0, 1), found {share}")
    if source.row_filter is not None:
        raise DataError("a source that is one side of a split cannot be split: split the whole log")
    if time is None:
        rule, held = HoldOut(share, seed), _drawn_rows(source, share, seed)
    else:
        times = _Times(source, time)
        rule = times.rule(share, seed)
        held = times.held_rows(rule)
    sides = (
        OneSide(rule, time, False, source.group_rows - held),
        OneSide(rule, time, True, held),
    )
    for side, name in zip(sides, ("training", "held-out"), strict=True):
        if not side.rows.sum():
            raise DataError(
                f"`share` must leave {name} rows, found none among {source.rows:,} with {share}: "
                "change it, or take a longer log"
            )
    fitted, validation = (Source(source.files, source.columns, row_filter=side) for side in sides)
    return fitted, validation


def _frame_times(column: str, log: pd.DataFrame) -> NDArray[Any]:
    import pyarrow as pa

    missing = log[column].isna().to_numpy()
    if missing.any():
        where = rows_text(log.index[missing], int(missing.sum()))
        raise DataError(f"time {column!r} is missing in {where}: fill or drop those rows")
    try:
        values = pa.array(log[column], from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"time {column!r} must hold numbers, dates or times of one type: {error}"
        ) from error
    return time_values(column, values)


def _frame_rule(times: NDArray[Any], share: float, seed: int) -> HoldOut:
    held = round(share * len(times))
    place = len(times) - max(held, 1)
    cut = np.partition(times, place)[place]
    return HoldOut((held - (times > cut).sum()) / (times == cut).sum(), seed, cut)


def _drawn_rows(source: Source, share: float, seed: int) -> NDArray[np.int64]:
    rule = HoldOut(share, seed)
    counts = [rule.mask(None, np.arange(*ends)).sum() for ends in pairwise(source.positions)]
    return np.array(counts, dtype=np.int64)


class _Times:
    """The times of a log on disk, read by row group.

    Args:
        source: All rows.
        column: The time.
    """

    def __init__(self, source: Source, column: str) -> None:
        self._source = source.select([column])
        self._column = column
        self._bounds: dict[int, tuple[Any, Any]] = {}

    def rule(self, share: float, seed: int) -> HoldOut:
        """The rule that `_frame_rule` finds for the same rows."""
        held = round(share * self._source.rows)
        sketch, later = self._sketch(None, None)
        while True:
            at = sketch.locate(sketch.rows - max(held - later, 1))
            if sketch.exact:
                return HoldOut((held - later - at.after) / at.rows, seed, at.number)
            sketch, later = self._sketch(at.above, at.number)

    def held_rows(self, rule: HoldOut) -> NDArray[np.int64]:
        """``(G,)`` rows that are held out, by row group."""
        counts = self._source.group_rows.copy()
        for group in np.flatnonzero(counts).tolist():
            first, last = self._bounds[group]
            if last < rule.cut:
                counts[group] = 0
            elif first <= rule.cut:
                parts = self._read(group)
                counts[group] = sum(rule.mask(times, numbers).sum() for times, numbers in parts)
        return counts

    def _sketch(self, low: Any, high: Any) -> tuple[Sketch, int]:
        """A sketch of the times in (low, high], and how many are later; None is no bound."""
        sketch, later = Sketch(), 0
        for group in np.flatnonzero(self._source.group_rows).tolist():
            if high is not None and self._bounds[group][0] > high:
                later += int(self._source.group_rows[group])
            elif low is None or self._bounds[group][1] > low:
                for times, _ in self._read(group):
                    after = np.zeros(len(times), bool) if high is None else times > high
                    later += int(after.sum())
                    sketch.add(times[~after if low is None else ~after & (times > low)])
        return sketch, later

    def _read(self, group: int) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        for chunk in self._source.read(group):
            times = time_values(self._column, chunk.rows[self._column])
            first, last = self._bounds.get(group, (times[0], times[0]))
            self._bounds[group] = min(first, times.min()), max(last, times.max())
            yield times, chunk.numbers
