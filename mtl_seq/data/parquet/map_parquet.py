"""Parquet to parquet, some rows at a time: memory does not grow with the rows."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mtl_seq._files import atomic_path
from mtl_seq.data.parquet.arrow import frame_of
from mtl_seq.data.parquet.files import LogFile, check_agreement, find_files
from mtl_seq.errors import ArtifactError, DataError, MtlSeqError

__all__ = ["map_parquet"]

_ROWS = 65_536


def map_parquet(
    source: str | Path,
    out: str | Path,
    function: Callable[[pd.DataFrame], pd.DataFrame],
    *,
    columns: Sequence[str],
    rows: int = _ROWS,
) -> dict[str, float]:
    """Write what a function makes of a log's rows, in their order and on their index.

    The index of one file is kept; the rows of several are numbered through.

    Args:
        source: A parquet file, a folder of them, or a glob such as ``"days/2024-*.parquet"``; a
            local path, or a URL that fsspec knows.
        out: The file to write, whole or not at all.
        function: Some rows to as many rows of numbers.
        columns: What the function reads; nothing else is read from the disk.
        rows: How many rows it is given at a time.

    Returns:
        The mean of every column written, and how many rows there were as ``rows``.

    Raises:
        ArtifactError: A file that is no parquet, torn or gone, or an `out` among the files.
        SchemaError: A file that lacks a column, or has it of another type than the file before.
        DataError: No rows, or what the function refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = find_files(source)
    if Path(out).exists() and any(_same(file, out) for file in files):
        raise ArtifactError(f"`out` is the log itself, which would be lost: {out}")
    check_agreement(files, columns)
    total = sum(file.footer.num_rows for file in files)
    if total == 0:
        raise DataError(f"the log {source} must hold at least one row, found an empty one")
    sums: dict[str, float] = {}
    done = 0
    with atomic_path(out) as aside:
        writer: Any = None
        try:
            for name, frame in _frames(files, columns, rows):
                try:
                    made = function(frame)
                except MtlSeqError as error:
                    raise type(error)(f"{name}: {error}") from error
                table = pa.Table.from_pandas(made)
                if writer is None:
                    schema = _spanning(table.schema, made.index, total)
                    writer = pq.ParquetWriter(aside, schema)
                # Names and types are those of the first rows; only what pandas notes differs.
                writer.write_table(table.replace_schema_metadata(schema.metadata))
                done += len(made)
                for column in made.columns:
                    sums[column] = sums.get(column, 0.0) + float(made[column].sum())
        finally:
            if writer is not None:
                writer.close()
        if done != total:
            raise ArtifactError(
                f"the log {source} must hold {total:,} rows, as its files say, found {done:,}: did "
                "it change meanwhile?"
            )
    return {**{name: value / done for name, value in sums.items()}, "rows": done}


def _same(file: LogFile, out: str | Path) -> bool:
    return "://" not in file.name and Path(file.name).samefile(out)


def _frames(
    files: Sequence[LogFile], columns: Sequence[str], rows: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Some rows at a time, with the name of the file that they come from."""
    start = 0
    for log in files:
        noted = (log.footer.metadata or {}).get(b"pandas")
        index = json.loads(noted)["index_columns"] if noted else []
        stored = [column for column in index if isinstance(column, str)]
        within = 0
        with log.open() as file:
            wanted = [*dict.fromkeys((*columns, *stored))]
            batches = file.iter_batches(batch_size=rows, columns=wanted)
            while True:
                with log.guarded():
                    batch = next(batches, None)
                if batch is None:
                    break
                frame = frame_of(batch)
                if len(files) > 1:
                    frame.index = pd.RangeIndex(start, start + len(frame))
                elif not stored:
                    frame.index = _ranged(index, within, len(frame))
                within += len(frame)
                start += len(frame)
                yield log.name, frame


def _ranged(index: list[Any], start: int, length: int) -> pd.RangeIndex:
    """Part of a file's index that is a range, noted and not stored."""
    noted: dict[str, Any] = index[0] if index else {"start": 0, "step": 1, "name": None}
    first, step = noted["start"], noted["step"]
    return pd.RangeIndex(
        first + start * step, first + (start + length) * step, step, name=noted["name"]
    )


def _spanning(schema: Any, index: pd.Index, total: int) -> Any:
    """The schema of all rows, from that of the first ones: a range must reach to the end."""
    if not isinstance(index, pd.RangeIndex):
        return schema
    noted = json.loads(schema.metadata[b"pandas"])
    noted["index_columns"][0]["stop"] = index.start + total * index.step
    return schema.with_metadata({**schema.metadata, b"pandas": json.dumps(noted).encode()})
