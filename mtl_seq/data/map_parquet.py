"""Parquet to parquet, some rows at a time: memory does not grow with the rows."""

import glob
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mtl_seq._files import UNFINISHED, atomic_path
from mtl_seq.errors import ArtifactError, DataError, MtlSeqError, SchemaError

__all__ = ["map_parquet", "parquet_files"]

_ROWS = 65_536


def parquet_files(source: str | Path) -> list[Path]:
    """The files of a log: one, those of a folder, or those that a glob names, by name.

    Raises:
        ArtifactError: No such file, or a folder that lacks parts.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        if (path / UNFINISHED).exists():
            raise ArtifactError(
                f"the folder {path} is unfinished, so it lacks rows: run the command that writes "
                "it once more, and it goes on where it stopped"
            )
        found = sorted(path.glob("*.parquet"))
    else:
        found = sorted(Path(name) for name in glob.glob(str(source)))
    found = [file for file in found if file.is_file() and not file.name.startswith(".")]
    if not found:
        raise ArtifactError(
            f"no parquet file {source}: name a file, a folder that holds such files, or a pattern"
        )
    return found


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
        source: A parquet file, a folder of them, or a pattern such as ``"days/2024-*.parquet"``.
        out: The file to write, whole or not at all.
        function: Some rows to as many rows of numbers.
        columns: What the function reads; nothing else is read from the disk.
        rows: How many rows it is given at a time.

    Returns:
        The mean of every column written, and how many rows there were as ``rows``.

    Raises:
        ArtifactError: A file that is no parquet, torn or gone, or an `out` among the files.
        SchemaError: A file that lacks a column.
        DataError: No rows, or what the function refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = parquet_files(source)
    if Path(out).exists() and any(file.samefile(out) for file in files):
        raise ArtifactError(f"`out` is the log itself, which would be lost: {out}")
    total = sum(_opened(file, columns).rows for file in files)
    if total == 0:
        raise DataError(f"the log {source} must hold at least one row, found an empty one")
    sums: dict[str, float] = {}
    done = 0
    with atomic_path(out) as aside:
        writer: Any = None
        try:
            for path, frame in _frames(files, columns, rows):
                try:
                    made = function(frame)
                except MtlSeqError as error:
                    raise type(error)(f"{path}: {error}") from error
                table = pa.Table.from_pandas(made)
                if writer is None:
                    schema = _spanning(table.schema, made.index, total)
                    writer = pq.ParquetWriter(aside, schema)
                # Names and types are those of the first rows; only what pandas notes differs.
                writer.write_table(table.replace_schema_metadata(schema.metadata))
                done += len(made)
                for name in made.columns:
                    sums[name] = sums.get(name, 0.0) + float(made[name].sum())
        finally:
            if writer is not None:
                writer.close()
        if done != total:
            raise ArtifactError(
                f"the log {source} must hold {total:,} rows, as its files say, found {done:,}: did "
                "it change meanwhile?"
            )
    return {**{name: value / done for name, value in sums.items()}, "rows": done}


class _File(NamedTuple):
    rows: int
    noted: list[Any]
    read: list[str]
    file: Any


def _opened(path: Path, columns: Sequence[str]) -> _File:
    """A file, with its index and the columns to read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path} is no parquet file that can be read: {error}") from error
    names = file.schema_arrow.names
    absent = [column for column in columns if column not in names]
    if absent:
        raise SchemaError(
            f"{path} must hold the declared columns {absent}, found {names}: add them, or take "
            "them out of the schema"
        )
    noted = (file.schema_arrow.metadata or {}).get(b"pandas")
    index = json.loads(noted)["index_columns"] if noted else []
    stored = [column for column in index if isinstance(column, str)]
    return _File(file.metadata.num_rows, index, [*dict.fromkeys((*columns, *stored))], file)


def _frames(
    files: Sequence[Path], columns: Sequence[str], rows: int
) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Some rows at a time, with the file that they come from."""
    import pyarrow as pa

    start = 0
    for path in files:
        opened = _opened(path, columns)
        ranged = [one for one in opened.noted if isinstance(one, dict)]
        within = 0
        with closing(opened.file) as file:
            batches = file.iter_batches(batch_size=rows, columns=opened.read)
            while True:
                try:
                    batch = next(batches, None)
                    frame = None if batch is None else batch.to_pandas()
                except (OSError, pa.ArrowException) as error:
                    raise ArtifactError(f"{path} cannot be read to its end: {error}") from error
                if frame is None:
                    break
                if len(files) > 1:
                    frame.index = pd.RangeIndex(start, start + len(frame))
                elif ranged or not opened.noted:
                    first, step = (ranged[0]["start"], ranged[0]["step"]) if ranged else (0, 1)
                    frame.index = pd.RangeIndex(
                        first + within * step,
                        first + (within + len(frame)) * step,
                        step,
                        name=ranged[0]["name"] if ranged else None,
                    )
                within += len(frame)
                start += len(frame)
                yield path, frame


def _spanning(schema: Any, index: pd.Index, total: int) -> Any:
    """The schema of all rows, from that of the first ones: a range must reach to the end."""
    if not isinstance(index, pd.RangeIndex):
        return schema
    noted = json.loads(schema.metadata[b"pandas"])
    noted["index_columns"][0]["stop"] = index.start + total * index.step
    return schema.with_metadata({**schema.metadata, b"pandas": json.dumps(noted).encode()})
