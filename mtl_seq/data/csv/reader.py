"""Reader of CSV files of any size, in blocks of the same types."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mtl_seq.errors import ArtifactError, DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["CsvFiles", "not_csv"]

_BLOCK = 16 << 20
_TYPES = ("int64", "float64", "string", "bool")
_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")


class CsvFiles:
    """CSV files with a header and the same columns.

    Types are those that Arrow infers from the first block of about 16 MB. A later value of another
    type is an error, never a missing value. Empty cells are missing.

    Args:
        log: A file, a folder of ``.csv`` files, or a glob; ``.gz`` is decompressed.
        separator: Separator of the columns.
        types: Types of some columns: int64, float64, string or bool.

    Raises:
        ArtifactError: No such file.
        DataError: Files whose columns differ, no rows, or an unknown type.
    """

    def __init__(
        self,
        log: str | Path,
        *,
        separator: str = ",",
        types: Mapping[str, str] | None = None,
    ) -> None:
        self.files = _files(log)
        self.separator = separator
        self._given = dict(types or {})
        unknown = [name for name in self._given.values() if name not in _TYPES]
        if unknown:
            raise DataError(f"a column's type must be one of {_TYPES}, found {unknown[0]!r}")
        self._types: dict[str, pa.DataType] = {}
        with self._reader(self.files[0], {}) as reader:
            self._types = {field.name: field.type for field in reader.schema}
        absent = [column for column in self._given if column not in self._types]
        if absent:
            raise DataError(
                f"`types` must name columns of {self.files[0]}, {list(self._types)}, found {absent}"
            )

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._types)

    def sample(self, rows: int) -> "pd.DataFrame":
        """The first rows.

        Raises:
            DataError: No rows.
        """
        import pyarrow as pa

        blocks, read = [], 0
        for block in self.blocks():
            blocks.append(block)
            read += block.num_rows
            if read >= rows:
                break
        if not read:
            raise DataError(f"the log must hold at least one row, found none in {self.files[0]}")
        return pa.Table.from_batches(blocks).slice(0, rows).to_pandas()

    def blocks(self) -> Iterator["pa.RecordBatch"]:
        """All rows, in blocks.

        Raises:
            ArtifactError: A file that is missing or cannot be read.
            DataError: A value that is not of its column's type, or a row of another length.
        """
        for file in self.files:
            with self._reader(file, self._types) as reader:
                if reader.schema.names != list(self._types):
                    raise DataError(
                        f"CSV files must have the same columns in the same order, found "
                        f"{list(self._types)} in {self.files[0]} and {reader.schema.names} in "
                        f"{file}: convert them separately"
                    )
                yield from reader

    @contextmanager
    def _reader(self, file: Path, types: Mapping[str, "pa.DataType"]) -> Iterator["_Reader"]:
        import pyarrow as pa
        from pyarrow import csv

        given = {column: pa.type_for_alias(name) for column, name in self._given.items()}
        try:
            with csv.open_csv(
                file,
                read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
                parse_options=csv.ParseOptions(delimiter=self.separator),
                convert_options=csv.ConvertOptions(
                    column_types={**types, **given},
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=["", "NULL", "null", "NaN", "nan", "\\N"],
                ),
            ) as reader:
                yield reader
        except FileNotFoundError as error:
            raise ArtifactError(f"no file {file}") from error
        except pa.ArrowInvalid as error:
            raise DataError(f"{file}: {_explained(str(error), list(self._types))}") from error


if TYPE_CHECKING:
    from pyarrow.csv import CSVStreamingReader as _Reader


def _explained(message: str, columns: Sequence[str]) -> str:
    """The message of Arrow, with the name of the column and a fix."""
    before, sign, after = message.partition("In CSV column #")
    number = after.partition(":")[0]
    if sign and number.isdigit() and int(number) < len(columns):
        name = columns[int(number)]
        return (
            f"column {name!r}: {after.partition(': ')[2]}; fix the value, or read the column as "
            f"text (`--type {name}=string`)"
        )
    return f"{before}{sign}{after}: check that this is a CSV file and that its separator is given"


def not_csv(name: str) -> str | None:
    """Error message for a CSV file where parquet is expected; None for other names."""
    if not name.lower().endswith(_SUFFIXES):
        return None
    return (
        f"{name} must be parquet, found a CSV file: write it as parquet, `mtl-seq convert {name} "
        "--out FOLDER`; without labels, pandas.read_csv(...).to_parquet(...)"
    )


def _files(log: str | Path) -> list[Path]:
    path = Path(log)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.lower().endswith(_SUFFIXES))
    else:
        files = sorted(Path(name) for name in glob.glob(str(log)))
    files = [file for file in files if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise ArtifactError(
            f"there is no CSV file {log}: name a file, a folder of .csv files, or a pattern"
        )
    return files
