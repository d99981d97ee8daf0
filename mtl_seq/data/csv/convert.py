"""Streamed conversion of CSV to parquet."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mtl_seq._files import atomic_folder
from mtl_seq.data.csv.reader import CsvFiles
from mtl_seq.data.validate.conversion_warnings import ConversionWarnings, orphans
from mtl_seq.errors import ArtifactError, DataError, SchemaError
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet as pq

__all__ = ["Converted", "Orphans", "convert_csv", "schema_file"]

_GROUP_ROWS = 131_072

Orphans = Literal["keep", "clear", "drop"]
"""Treatment of rows that have a stage without its parent."""


class Converted(NamedTuple):
    """Result of `convert_csv`.

    Attributes:
        rows: Rows written.
        files: Parquet files written.
        labels: Sum of each label column.
        orphans: By stage, the rows that had it without its parent and were cleared or dropped.
        warnings: Validation warnings: what `fit` would refuse, each with a fix.
    """

    rows: int
    files: int
    labels: dict[str, int]
    orphans: dict[str, int]
    warnings: tuple[str, ...]


def schema_file(folder: str | Path) -> Path:
    """Path of the schema that `convert_csv` writes, beside the folder of parquet files."""
    folder = Path(folder)
    name = folder.name or Path(os.path.abspath(folder)).name
    return folder.parent / f"{name}.schema.json"


def convert_csv(
    log: CsvFiles,
    schema: Schema,
    folder: str | Path,
    *,
    separators: Mapping[str, str | None] | None = None,
    orphans: Orphans = "keep",
    file_rows: int = 2_000_000,
    callback: Callable[[int], None] | None = None,
) -> Converted:
    """Write CSV files as ``part-00000.parquet`` and so on, and the schema beside the folder.

    All columns are written, in the order of the files, whether the schema names them or not. Labels
    become 0 and 1, texts of bags become lists. Memory holds one row group. The folder is written
    under a temporary name and renamed at the end, so that an earlier one is replaced only when all
    is written. The schema of ``log/`` is ``log.schema.json``, since polars and pandas refuse a
    folder that holds anything but parquet.

    Args:
        log: The files.
        schema: The roles of the columns.
        folder: The folder to write. An earlier conversion there is replaced.
        separators: By bag, the separator of its items.
        orphans: Treatment of rows that have a stage without its parent, such as a conversion
            without a click: ``"keep"`` leaves them, and `fit` will refuse them; ``"clear"`` sets
            the later label to 0; ``"drop"`` drops the rows.
        file_rows: Approximate rows of a file.
        callback: Called with the number of rows so far.

    Raises:
        SchemaError: A declared column is absent.
        DataError: A value that is not of its column's type, a label that is neither 0 nor 1, a bag
            without a separator, or no rows.
        ArtifactError: The folder holds other files or cannot be written, or the disk is full; an
            earlier folder is unchanged.
    """
    wanted = (*schema.features, *schema.labels.values(), *schema.bag_weights.values())
    absent = [column for column in wanted if column not in log.columns]
    if absent:
        raise SchemaError(
            f"the CSV files must hold the declared columns {absent}, found {log.columns}"
        )
    target = Path(folder)
    parts = target.glob("part-*.parquet") if target.is_dir() else ()
    own = {part.name for part in parts}
    beside = schema_file(target)
    try:
        with atomic_folder(target, own=own) as aside:
            writer = _Writer(aside, schema, separators or {}, orphans, file_rows)
            try:
                for block in log.blocks():
                    writer.add(block)
                    if callback is not None:
                        callback(writer.rows)
                converted = writer.finish()
            finally:
                writer.close()
        schema.to_json(beside)
    except OSError as error:
        raise ArtifactError(
            f"cannot write {target}: {error.strerror or error}; an earlier folder is "
            "unchanged. Free some space, or name another folder"
        ) from error
    return converted


class _Writer:
    """Writes blocks of rows as parquet files.

    Labels are checked and made 0 and 1 first, so that orphans can be compared.
    """

    def __init__(
        self,
        folder: Path,
        schema: Schema,
        separators: Mapping[str, str | None],
        orphans: Orphans,
        file_rows: int,
    ) -> None:
        self.folder, self.schema = folder, schema
        self.separators, self.orphans, self.file_rows = separators, orphans, file_rows
        self._warnings = ConversionWarnings(schema)
        self._orphans = dict.fromkeys(schema.funnel.parents(), 0)
        self.read = self.rows = self._files = self._in_file = self._held_rows = 0
        self._labels = dict.fromkeys(schema.labels.values(), 0)
        self._held: list[pa.RecordBatch] = []
        self._file: pq.ParquetWriter | None = None

    def add(self, block: "pa.RecordBatch") -> None:
        for stage, column in self.schema.labels.items():
            block = _with(block, column, self._label(stage, column, block[column]))
        start = self.read
        self.read += block.num_rows
        if self.orphans != "keep":
            block = self._without_orphans(block)
        self._warnings.add(block, start)
        for column in self._labels:
            self._labels[column] += int(block[column].to_numpy().sum())
        for column in self.schema.bags:
            block = _with(block, column, self._bag(column, block[column]))
        self._held.append(block)
        self._held_rows += block.num_rows
        self.rows += block.num_rows
        while self._held_rows >= _GROUP_ROWS:
            self._write(_GROUP_ROWS)

    def close(self) -> None:
        """Close the file, also after an error."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def finish(self) -> Converted:
        if self._held_rows:
            self._write(self._held_rows)
        if self._file is not None:
            self._file.close()
        if not self.rows:
            raise DataError("the log must hold at least one row, found CSV files without any")
        treated = {stage: count for stage, count in self._orphans.items() if count}
        warnings = list(self._warnings.lines())
        for stage, column in self.schema.labels.items():
            if not self._labels[column]:
                warnings.append(
                    f"there is no {stage} at all in {self.rows:,} rows (column {column!r}), which "
                    "`fit` refuses: check the label, or convert a longer log"
                )
        return Converted(self.rows, self._files, self._labels, treated, tuple(warnings))

    def _without_orphans(self, block: "pa.RecordBatch") -> "pa.RecordBatch":
        import pyarrow as pa

        # In the funnel's order, since a cleared stage may leave a later one without its parent.
        for stage in self.schema.funnel.parents():
            alone = orphans(self.schema, block, stage)
            count = int(alone.sum())
            if not count:
                continue
            self._orphans[stage] += count
            if self.orphans == "drop":
                block = block.filter(pa.array(~alone))
            else:
                column = self.schema.labels[stage]
                kept = np.where(alone, 0, block[column].to_numpy()).astype(np.int8)
                block = _with(block, column, pa.array(kept))
        return block

    def _label(self, stage: str, column: str, values: "pa.Array") -> "pa.Array":
        import pyarrow as pa

        numbers = values.to_pandas().to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero((numbers != 0) & (numbers != 1))
        if len(bad):
            raise DataError(
                f"label {column!r} of {stage!r} must hold 0 and 1, found {values[int(bad[0])]} in "
                f"row {self.read + int(bad[0]):,}: fix or drop such rows"
            )
        return pa.array(numbers.astype(np.int8))

    def _bag(self, column: str, values: "pa.Array") -> "pa.Array":
        from pyarrow import compute as pc

        separator = self.separators.get(column)
        if separator is None:
            raise DataError(
                f"bag {column!r} must have a separator (`--bag {column}='|'`), found none: give "
                "the separator of its items, or declare it as an id"
            )
        items = pc.split_pattern(values.cast("string"), separator)
        # Splitting an empty text gives one empty item; a missing list is an empty bag.
        return pc.if_else(pc.not_equal(values, ""), items, None)

    def _write(self, rows: int) -> None:
        import pyarrow as pa
        from pyarrow import parquet as pq

        table = pa.Table.from_batches(self._held)
        if self._file is None:
            path = self.folder / f"part-{self._files:05d}.parquet"
            self._file = pq.ParquetWriter(path, table.schema)
            self._files += 1
        self._file.write_table(table.slice(0, rows), row_group_size=_GROUP_ROWS)
        self._held = table.slice(rows).to_batches()
        self._held_rows -= rows
        self._in_file += rows
        if self._in_file >= self.file_rows:
            self._file.close()
            self._file, self._in_file = None, 0


def _with(block: "pa.RecordBatch", column: str, values: "pa.Array") -> "pa.RecordBatch":
    return block.set_column(block.schema.get_field_index(column), column, values)
