"""Atomic files and folders: an interruption leaves the old one or the new one."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtl_seq.errors import ArtifactError

__all__ = [
    "UNFINISHED",
    "atomic_folder",
    "atomic_path",
    "check_folder",
    "read_json",
    "recover_folder",
    "write_json",
]

UNFINISHED = "_unfinished"
"""A file of this name marks a folder that lacks parts; parquet readers ignore it."""


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a path beside `target`; rename it to `target` when the block ends without an error.

    Args:
        target: The file. Its folder is created.

    Yields:
        The path to write to, on the same file system.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
    )
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)
        _sync(aside)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def check_folder(target: str | Path, own: Collection[str]) -> None:
    """Check that a folder may be written: that it is absent, or holds only files of an earlier run.

    Args:
        target: The folder.
        own: Names of the files that an earlier run may have written.

    Raises:
        ArtifactError: A file of this name, a folder with other files, or one that cannot be
            written.
    """
    target = Path(target)
    if target.is_dir():
        strange = sorted(path.name for path in target.iterdir() if path.name not in own)
        if strange:
            raise ArtifactError(
                f"the folder {target} holds {', '.join(strange[:3])}, which would be lost: name "
                "another folder, or empty this one"
            )
    elif target.exists():
        raise ArtifactError(f"{target} must be a folder, found a file: name another place")
    above = target.parent
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ArtifactError(f"cannot write to {above}: name another place than {target}")


@contextmanager
def atomic_folder(target: str | Path, *, own: Collection[str]) -> Iterator[Path]:
    """Yield a folder beside `target`; it replaces `target` when the block ends without an error.

    Args:
        target: The folder. An older one is replaced as a whole.
        own: Names of the files that the older one may hold.

    Yields:
        The folder to write into.

    Raises:
        ArtifactError: `target` is a file, or a folder with other files.
    """
    check_folder(target, own)
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        yield aside
        for file in aside.rglob("*"):
            if file.is_file():
                _sync(file)
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o777 & ~umask)
        if target.exists():
            _exchange(aside, target)
        else:
            aside.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(new: Path, target: Path) -> None:
    """Replace a folder by another; restore the old one at an interruption."""
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-old-"))
    try:
        target.replace(old / target.name)
        new.replace(target)
    except BaseException:
        if (old / target.name).exists() and not target.exists():
            (old / target.name).replace(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def recover_folder(target: str | Path) -> None:
    """Restore a folder that a killed process was replacing, and delete its temporary folders.

    Args:
        target: A folder written by `atomic_folder`. No other process may be writing it.
    """
    target = Path(target)
    own = re.compile(rf"\.{re.escape(target.name)}-(old-)?[a-z0-9_]{{8}}")
    found = [path for path in target.parent.glob(".*") if own.fullmatch(path.name)]
    for aside in found:
        if not target.exists() and (aside / target.name).exists():
            (aside / target.name).replace(target)
    if target.exists():
        for aside in found:
            shutil.rmtree(aside, ignore_errors=True)


def write_json(path: str | Path, content: dict[str, Any], *, kind: str, version: int) -> None:
    """Write a JSON artefact with its kind and format version, atomically."""
    with atomic_path(path) as aside:
        text = json.dumps({"kind": kind, "format": version, **content}, indent=1, allow_nan=False)
        aside.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path, *, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON artefact written by `write_json`.

    Args:
        path: The file.
        kind: The kind that it must have.
        version: The newest format that is supported.

    Returns:
        Its content, with `format` but without `kind`.

    Raises:
        ArtifactError: No such file, no JSON, another kind, or a format from a newer version.
    """
    path = Path(path)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"no file {path}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"{path} is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} must hold a JSON object")
    found = content.pop("kind", None)
    if found != kind:
        raise ArtifactError(
            f"{path} must be of kind {kind!r}, found {found!r}: a file written by hand must hold "
            f'"kind": "{kind}" and "format": {version}'
        )
    written = content.get("format")
    if type(written) is not int or not 1 <= written <= version:
        raise ArtifactError(
            f"{path} has format {written!r}, this version reads 1 to {version}: "
            "update mtl_seq, or write the file again"
        )
    return content


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
