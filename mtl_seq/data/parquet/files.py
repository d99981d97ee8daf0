"""Parquet files of a log, local or remote: discovery, agreement of columns, and errors."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from mtl_seq._files import UNFINISHED
from mtl_seq.data.csv.reader import not_csv
from mtl_seq.errors import ArtifactError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet as pq

__all__ = ["LogFile", "check_agreement", "find_files", "kind_of"]

_BUFFER = 1 << 18
"""Bytes of a column read at a time, so that a reader never holds a whole row group."""


class LogFile:
    """One parquet file, with its footer as of the opening of the log.

    Args:
        name: Path or URL, for messages and for the order of the files.
        system: Its fsspec file system.
        path: Its path in that file system.

    Raises:
        ArtifactError: A file that is missing, no parquet, or truncated.
    """

    def __init__(self, name: str, system: Any, path: str) -> None:
        self.name = name
        self._system = system
        self._path = path
        with self._read() as file:
            self.footer = file.metadata
        self.size = self._size()

    @cached_property
    def columns(self) -> "pa.Schema":
        """Names and types of its columns."""
        return self.footer.schema.to_arrow_schema()

    @property
    def groups(self) -> list[int]:
        """Rows of each of its row groups."""
        return [self.footer.row_group(i).num_rows for i in range(self.footer.num_row_groups)]

    @contextmanager
    def open(self) -> Iterator["pq.ParquetFile"]:
        """Open the file for reading.

        Raises:
            ArtifactError: It is missing, truncated, or changed since the log was opened.
        """
        with self.guarded():
            size = self._size()
        if size != self.size:
            raise ArtifactError(
                f"{self.name} had {self.size:,} bytes when it was opened, found {size:,}: a log "
                "must not change while it is read; restore the file, or open the log again"
            )
        with self._read(self.footer) as file:
            yield file

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise errors of reading with the name of the file."""
        import pyarrow as pa

        try:
            yield
        except FileNotFoundError as error:
            raise ArtifactError(
                f"no file {self.name}: it is missing; restore it and resume, or open the log again"
            ) from error
        except (OSError, pa.ArrowInvalid) as error:
            if csv := not_csv(self.name):
                raise ArtifactError(csv) from error
            raise ArtifactError(
                f"{self.name} cannot be read as parquet, it is corrupt or no parquet: {error}"
            ) from error

    @contextmanager
    def _read(self, footer: Any = None) -> Iterator["pq.ParquetFile"]:
        from pyarrow import parquet as pq

        with self.guarded(), ExitStack() as stack:
            # Arrow reads local files without holding the interpreter's lock.
            local = "file" in (self._system.protocol, *self._system.protocol)
            place = self._path if local else stack.enter_context(self._system.open(self._path))
            reader = pq.ParquetFile(
                place, metadata=footer, pre_buffer=not local, buffer_size=_BUFFER if local else 0
            )
            yield stack.enter_context(reader)

    def _size(self) -> int:
        return int(self._system.info(self._path)["size"])


def find_files(log: "str | Path | Sequence[str | Path]") -> list[LogFile]:
    """The parquet files of a log, in the order of their names.

    Args:
        log: A file, a folder of files, a glob, or a list of them; a local path, or a URL that
            fsspec knows. Subfolders of a folder are not read (a glob may name them: ``log/*/*``).

    Raises:
        ArtifactError: No file, one that cannot be read, or an unfinished folder.
    """
    places = [log] if isinstance(log, str | Path) else list(log)
    files = [file for place in places for file in _find(str(place))]
    if not files:
        raise ArtifactError(f"there is no parquet file in {log}: name a file, folder or glob")
    return files


def _find(place: str) -> list[LogFile]:
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise ArtifactError(f"cannot open {place}: {error}") from error
    if any(sign in root for sign in "*?["):
        paths = system.glob(root)
    elif system.isdir(root):
        paths = [entry["name"] for entry in system.ls(root, detail=True) if entry["type"] == "file"]
        if any(PurePosixPath(path).name == UNFINISHED for path in paths):
            raise ArtifactError(
                f"the folder {place} is unfinished, so it lacks rows: run the command that writes "
                "it again, which resumes it"
            )
        paths = [path for path in paths if path.endswith(".parquet")]
    else:
        paths = [root]
    shown = [path for path in sorted(paths) if not PurePosixPath(path).name.startswith((".", "_"))]
    if not shown:
        raise ArtifactError(
            f"there is no parquet file in {place}: name the file, the folder that holds the files, "
            "or a glob such as log/*/*.parquet"
        )
    name = str if "://" not in place else system.unstrip_protocol
    return [LogFile(name(path), system, path) for path in shown]


def check_agreement(files: Sequence[LogFile], columns: Sequence[str]) -> None:
    """Check that every file has these columns, of one kind.

    Integers of any width are of one kind, and so are texts in any storage; a column of nulls agrees
    with any. Times agree only in one unit, since they are compared as numbers.

    Raises:
        SchemaError: A column that is absent from a file, or of different kinds in two files.
    """
    first: dict[str, _Seen] = {}
    for file in files:
        types = {field.name: field.type for field in file.columns}
        absent = [column for column in columns if column not in types]
        if absent:
            raise SchemaError(
                f"{file.name} must hold the columns {absent}, found {list(types)}: add them, leave "
                "the file out, or take them out of the schema"
            )
        for column in columns:
            kind = kind_of(types[column])
            if kind == "null":
                continue
            seen = first.setdefault(column, _Seen(kind, str(types[column]), file.name))
            if seen.kind != kind:
                raise SchemaError(
                    f"column {column!r} must be of one type in all files, found {seen.type} in "
                    f"{seen.file} and {types[column]} in {file.name}: convert one of them"
                )


class _Seen(NamedTuple):
    kind: str
    type: str
    file: str


def kind_of(type_: "pa.DataType") -> str:
    """The kind of a column, independent of its width.

    >>> import pyarrow as pa
    >>> kind_of(pa.int32()), kind_of(pa.large_string()), kind_of(pa.list_(pa.int64()))
    ('integers', 'texts', 'lists of integers')
    """
    from pyarrow import types

    if types.is_dictionary(type_):
        return kind_of(type_.value_type)
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return f"lists of {kind_of(type_.value_type)}"
    if types.is_integer(type_):
        return "integers"
    if types.is_floating(type_):
        return "fractions"
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return "texts"
    if types.is_timestamp(type_):
        return f"times in {type_.unit}"
    if types.is_date(type_):
        return "dates"
    return str(type_)
