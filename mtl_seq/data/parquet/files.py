"""Parquet files, here or elsewhere: which there are, what stands in them, and clear errors."""

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
"""Bytes of a column read at a time, so that a reader does not hold its row group."""


class LogFile:
    """One parquet file: its name, and its footer as it was when the log was opened.

    Args:
        name: Path or URL, for messages and in order of which files are read.
        system: The fsspec file system it lies on.
        path: Where it lies there.

    Raises:
        ArtifactError: No such file, no parquet, or one cut short.
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
        """The file, to read rows from.

        Raises:
            ArtifactError: It is gone, cut short, or another one since the log was opened.
        """
        with self.guarded():
            size = self._size()
        if size != self.size:
            raise ArtifactError(
                f"{self.name} had {self.size:,} bytes when it was opened, found {size:,}: a log "
                "must not change while it is read; put the file back, or open the log anew"
            )
        with self._read(self.footer) as file:
            yield file

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Errors of reading name the file."""
        import pyarrow as pa

        try:
            yield
        except FileNotFoundError as error:
            raise ArtifactError(
                f"no file {self.name}: it is gone, or was never there; put it back and go on, or "
                "open the log anew"
            ) from error
        except (OSError, pa.ArrowInvalid) as error:
            if csv := not_csv(self.name):
                raise ArtifactError(csv) from error
            raise ArtifactError(
                f"{self.name} cannot be read as parquet, it is torn or no such file: {error}"
            ) from error

    @contextmanager
    def _read(self, footer: Any = None) -> Iterator["pq.ParquetFile"]:
        from pyarrow import parquet as pq

        with self.guarded(), ExitStack() as stack:
            # Arrow reads a local file itself, without the interpreter's lock.
            local = "file" in (self._system.protocol, *self._system.protocol)
            place = self._path if local else stack.enter_context(self._system.open(self._path))
            reader = pq.ParquetFile(
                place, metadata=footer, pre_buffer=not local, buffer_size=_BUFFER if local else 0
            )
            yield stack.enter_context(reader)

    def _size(self) -> int:
        return int(self._system.info(self._path)["size"])


def find_files(place: "str | Path | Sequence[str | Path]") -> list[LogFile]:
    """The parquet files of a log, in the order of their names.

    Args:
        place: A file, a folder of files, a glob, or a list of them; a local path, or a URL that
            fsspec knows. A folder's own folders are not looked into (a glob may: ``log/*/*``).

    Raises:
        ArtifactError: There is none, or one cannot be read; a folder that is unfinished.
    """
    places = [place] if isinstance(place, str | Path) else list(place)
    found = [file for one in places for file in _find(str(one))]
    if not found:
        raise ArtifactError(f"there is no parquet file in {place}: name a file, folder or glob")
    return found


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
                "it once more, and it goes on where it stopped"
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
    """Every file has these columns, of one kind.

    Integers of any width are of one kind, and so are texts however they are stored; a file without
    rows may leave the kind open.

    Raises:
        SchemaError: A column that is absent from a file, or of two kinds in two files.
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
                    f"{seen.file} and {types[column]} in {file.name}: write one of them anew"
                )


class _Seen(NamedTuple):
    kind: str
    type: str
    file: str


def kind_of(type_: "pa.DataType") -> str:
    """What a column holds, whatever its width.

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
    if types.is_timestamp(type_) or types.is_date(type_):
        return "times"
    return str(type_)
