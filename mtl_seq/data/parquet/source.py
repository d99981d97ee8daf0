"""Source: a log of any size on disk, read in chunks."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.data.parquet.arrow import frame_of
from mtl_seq.data.parquet.files import LogFile, check_agreement, find_files
from mtl_seq.data.parquet.row_filter import RowFilter
from mtl_seq.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["READ_ROWS", "Chunk", "Source", "joined_chunks"]

READ_ROWS = 32_768
"""Rows decoded at a time."""


class Chunk(NamedTuple):
    """Consecutive rows of one file.

    Attributes:
        rows: The rows.
        position: Number of the first among the rows of the source.
        numbers: ``(n,)`` number of each among all rows of the files, filtered or not.
        file: The file, for messages.
    """

    rows: "pa.RecordBatch | pa.Table"
    position: int
    numbers: NDArray[np.int64]
    file: str

    def frame(self) -> "pd.DataFrame":
        """The rows, indexed by their numbers."""
        return frame_of(self.rows, self.numbers)

    def cut(self, rows: int) -> "tuple[Chunk, Chunk]":
        """Split into the first rows and the rest."""
        first = self._replace(rows=self.rows.slice(0, rows), numbers=self.numbers[:rows])
        after = Chunk(self.rows.slice(rows), self.position + rows, self.numbers[rows:], self.file)
        return first, after


def joined_chunks(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Chunks in their order, with those that follow each other in one file concatenated."""
    import pyarrow as pa

    runs: list[list[Chunk]] = []
    for chunk in chunks:
        last = runs[-1][-1] if runs else None
        after = last is not None and last.position + len(last.numbers) == chunk.position
        if last is not None and after and last.file == chunk.file:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return [
        run[0]
        if len(run) == 1
        else run[0]._replace(
            rows=pa.Table.from_batches([chunk.rows for chunk in run]).combine_chunks(),
            numbers=np.concatenate([chunk.numbers for chunk in run]),
        )
        for run in runs
    ]


class Source:
    """Parquet files as one log; opened by `open`.

    Row n is the n-th in the order of the files' names. Memory holds the footers only.

    Args:
        files: The files.
        columns: The columns that are read; None for all of the first file.
        row_filter: Which rows belong to it; None for all.

    Raises:
        SchemaError: A column that differs between files.
        DataError: No rows.
    """

    def __init__(
        self,
        files: Sequence[LogFile],
        columns: Sequence[str] | None = None,
        row_filter: RowFilter | None = None,
    ) -> None:
        self.files = tuple(files)
        self.columns = tuple(self.files[0].columns.names if columns is None else columns)
        self.row_filter = row_filter
        needed = self._read_columns
        check_agreement(self.files, needed)
        groups = [(i, j, rows) for i, f in enumerate(self.files) for j, rows in enumerate(f.groups)]
        self._groups = np.array(groups, dtype=np.int64).reshape(-1, 3)
        self._starts = np.concatenate(([0], np.cumsum(self._groups[:, 2])))
        self.group_rows = self._groups[:, 2] if row_filter is None else row_filter.rows
        if self.rows == 0:
            raise DataError(
                f"the log must hold at least one row, found none in {self.files[0].name}"
                + (f" and {len(self.files) - 1} further files" if len(self.files) > 1 else "")
            )

    @classmethod
    def open(
        cls, log: "str | Path | Sequence[str | Path]", *, columns: Sequence[str] | None = None
    ) -> "Source":
        """Open a log.

        Args:
            log: A parquet file, a folder of them, a glob, or a list of these; local, or a URL
                that fsspec knows (``s3://...``).
            columns: The columns to read; None for all of the first file.

        Raises:
            ArtifactError: No file, or one that cannot be read.
            SchemaError: A column that differs between files.
            DataError: No rows.
        """
        return cls(find_files(log), columns)

    def select(self, columns: Sequence[str]) -> "Source":
        """The same rows with these columns only; others are not read.

        Raises:
            SchemaError: A column that differs between files.
        """
        return Source(self.files, columns, self.row_filter)

    @cached_property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.group_rows.sum())

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """``(G + 1,)`` number of each row group's first row, then the number of rows."""
        return np.concatenate(([0], np.cumsum(self.group_rows)))

    @property
    def fingerprint(self) -> str:
        """A hash of the row counts of the row groups and the sizes of the files, not of names."""
        digest = hashlib.sha256(np.ascontiguousarray(self._groups).tobytes())
        digest.update(np.ascontiguousarray(self.group_rows).tobytes())
        digest.update(repr([file.size for file in self.files]).encode())
        return digest.hexdigest()[:16]

    def read(
        self, group: int, start: int = 0, stop: int | None = None, *, batch_rows: int = READ_ROWS
    ) -> Iterator[Chunk]:
        """Rows of one row group, in order.

        Args:
            group: The row group.
            start: The first row, counted within the group.
            stop: The row after the last; None for all.
            batch_rows: Rows decoded at a time.

        Yields:
            Chunks of at least one row.

        Raises:
            ArtifactError: The file is missing, corrupt or has changed.
        """
        stop = int(self.group_rows[group]) if stop is None else stop
        number, inner = self._groups[group, 0], int(self._groups[group, 1])
        file = self.files[number]
        with file.open() as reader:
            batches = reader.iter_batches(
                batch_rows, row_groups=[inner], columns=[*self._read_columns], use_threads=False
            )
            done, row = 0, int(self._starts[group])
            while done < stop:
                with file.guarded():
                    batch = next(batches, None)
                if batch is None:
                    raise DataError(
                        f"{file.name} must hold {stop} such rows in its row group {inner}, found "
                        f"{done}: it is corrupt, or not the file that was opened"
                    )
                numbers = np.arange(row, row + batch.num_rows)
                row += batch.num_rows
                if self.row_filter is not None:
                    mask = self.row_filter.mask(batch, numbers)
                    if not mask.all():
                        batch, numbers = batch.filter(mask), numbers[mask]
                size = batch.num_rows
                low, high = max(start - done, 0), min(stop - done, size)
                if low < high:
                    position = int(self.positions[group]) + done + low
                    rows = batch.slice(low, high - low).select(self.columns)
                    yield Chunk(rows, position, numbers[low:high], file.name)
                done += size

    def chunks(self, *, batch_rows: int = READ_ROWS) -> Iterator[Chunk]:
        """All rows, in order."""
        for group in np.flatnonzero(self.group_rows):
            yield from self.read(int(group), batch_rows=batch_rows)

    @property
    def _read_columns(self) -> tuple[str, ...]:
        further = () if self.row_filter is None else self.row_filter.columns
        return tuple(dict.fromkeys((*self.columns, *further)))
