"""Map a function over the rows of parquet files, in constant memory."""

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
    log: str | Path,
    out: str | Path,
    function: Callable[[pd.DataFrame], pd.DataFrame],
    *,
    columns: Sequence[str],
    rows: int = _ROWS,
) -> dict[str, float]:
    """Apply a function to a log's rows and write its results, in their order and on their index.

    The index of a single file is kept; the rows of several files are numbered consecutively.

    Args:
        log: A parquet file, a folder of them, or a glob such as ``"days/2024-*.parquet"``; a
            local path, or a URL that fsspec knows.
        out: The file to write, whole or not at all.
        function: Maps some rows to the same number of rows of numbers.
        columns: The columns that the function reads; no others are read from disk.
        rows: Rows of a call.

    Returns:
        The mean of every column written, and the number of rows as ``rows``.

    Raises:
        ArtifactError: A file that is no parquet, corrupt or missing, or an `out` among the files.
        SchemaError: A column that is absent from a file, or of different types in two files.
        DataError: No rows, or rows that the function refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = find_files(log)
    if Path(out).exists() and any(_same(file, out) for file in files):
        raise ArtifactError(f"`out` is the log itself, which would be overwritten: {out}")
    check_agreement(files, columns)
    total = sum(file.footer.num_rows for file in files)
    if total == 0:
        raise DataError(f"the log {log} must hold at least one row, found an empty one")
    sums: dict[str, float] = {}
    done = 0
    with atomic_path(out) as aside:
        writer: Any = None
        try:
            for name, frame in _frames(files, columns, rows):
                try:
                    result = function(frame)
                except MtlSeqError as error:
                    raise type(error)(f"{name}: {error}") from error
                table = pa.Table.from_pandas(result)
                if writer is None:
                    schema = _spanning(table.schema, result.index, total)
                    writer = pq.ParquetWriter(aside, schema)
                # Names and types equal those of the first rows; only the pandas metadata differs.
                writer.write_table(table.replace_schema_metadata(schema.metadata))
                done += len(result)
                for column in result.columns:
                    sums[column] = sums.get(column, 0.0) + float(result[column].sum())
        finally:
            if writer is not None:
                writer.close()
        if done != total:
            raise ArtifactError(
                f"the log {log} must hold {total:,} rows, as its footers state, found {done:,}: it "
                "changed while it was read, so run again"
            )
    return {**{name: value / done for name, value in sums.items()}, "rows": done}


def _same(file: LogFile, out: str | Path) -> bool:
    return "://" not in file.name and Path(file.name).samefile(out)


def _frames(
    files: Sequence[LogFile], columns: Sequence[str], rows: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Frames of some rows, each with the name of its file."""
    start = 0
    for file in files:
        noted = (file.footer.metadata or {}).get(b"pandas")
        index = json.loads(noted)["index_columns"] if noted else []
        stored = [column for column in index if isinstance(column, str)]
        within = 0
        with file.open() as reader:
            wanted = [*dict.fromkeys((*columns, *stored))]
            batches = reader.iter_batches(batch_size=rows, columns=wanted)
            while True:
                with file.guarded():
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
                yield file.name, frame


def _ranged(index: list[Any], start: int, length: int) -> pd.RangeIndex:
    """Part of an index that is a range, which pandas stores in the metadata only."""
    noted: dict[str, Any] = index[0] if index else {"start": 0, "step": 1, "name": None}
    first, step = noted["start"], noted["step"]
    return pd.RangeIndex(
        first + start * step, first + (start + length) * step, step, name=noted["name"]
    )


def _spanning(schema: Any, index: pd.Index, total: int) -> Any:
    """The schema of all rows, from that of the first: a range index must extend to the end."""
    if not isinstance(index, pd.RangeIndex):
        return schema
    noted = json.loads(schema.metadata[b"pandas"])
    noted["index_columns"][0]["stop"] = index.start + total * index.step
    return schema.with_metadata({**schema.metadata, b"pandas": json.dumps(noted).encode()})
