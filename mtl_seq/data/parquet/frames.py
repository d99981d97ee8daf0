"""Read and write frames of logs and of ground truth."""

from pathlib import Path

import numpy as np
import pandas as pd

from mtl_seq._files import atomic_path
from mtl_seq.data.parquet.arrow import frame_of
from mtl_seq.data.parquet.files import find_files
from mtl_seq.errors import ArtifactError, rows_text
from mtl_seq.records import ROW_ID, TRUTH_PREFIX, FunnelTruth

__all__ = ["read_frame", "truth_from_frame", "truth_of", "truth_to_frame", "write_frame"]


def read_frame(log: "pd.DataFrame | str | Path") -> pd.DataFrame:
    """Return a frame unchanged, or read it from a parquet file or a folder of such files.

    Args:
        log: The frame, or its file, folder, glob or URL. Several files are read in the order of
            their names and must have the same columns; subfolders are not read.

    Raises:
        ArtifactError: A missing file, no parquet, or a folder whose files differ in columns.
    """
    if isinstance(log, pd.DataFrame):
        return log
    files = find_files(log)
    frames = []
    for file in files:
        with file.open() as reader, file.guarded():
            frames.append(frame_of(reader.read()))
        if list(frames[-1].columns) != list(frames[0].columns):
            raise ArtifactError(
                f"the parquet files in {log} must have the same columns, found others in "
                f"{file.name}: name one of the files"
            )
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def write_frame(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame as parquet, atomically."""
    with atomic_path(path) as aside:
        frame.to_parquet(aside)


def truth_to_frame(truth: FunnelTruth) -> pd.DataFrame:
    """One column per array of the truth, named ``true_...``."""
    return pd.DataFrame({TRUTH_PREFIX + name: array for name, array in truth.arrays().items()})


def truth_from_frame(frame: pd.DataFrame) -> FunnelTruth:
    """Read the result of `truth_to_frame`.

    Raises:
        ArtifactError: A column is absent.
    """
    arrays = {
        str(name).removeprefix(TRUTH_PREFIX): column.to_numpy(dtype=np.float64)
        for name, column in frame.items()
        if str(name).startswith(TRUTH_PREFIX)
    }
    try:
        return FunnelTruth.of_arrays(arrays)
    except KeyError:
        needed = [n for n in FunnelTruth._fields if n not in FunnelTruth._field_defaults]
        absent = [TRUTH_PREFIX + name for name in needed if name not in arrays]
        raise ArtifactError(
            f"a truth must hold the columns {absent}, found {list(frame.columns)}"
        ) from None


def truth_of(log: pd.DataFrame, frame: pd.DataFrame) -> FunnelTruth:
    """The truth of a log's rows: joined by `row_id` where both have one, else row by row.

    Args:
        log: The log; it may be some rows of a larger one.
        frame: Result of `truth_to_frame`.

    Raises:
        ArtifactError: A column is absent, or the truth lacks rows of the log.
    """
    truth = truth_from_frame(frame)
    if ROW_ID not in log.columns or ROW_ID not in frame.columns:
        return truth
    if np.array_equal(log[ROW_ID], frame[ROW_ID]):
        return truth
    place = pd.Index(frame[ROW_ID])
    if not place.is_unique:
        raise ArtifactError(f"a truth must hold each `{ROW_ID}` once, found one twice")
    rows = place.get_indexer(log[ROW_ID])
    absent = log[ROW_ID][rows < 0]
    if len(absent):
        raise ArtifactError(
            f"the truth must hold every `{ROW_ID}` of the log, found none for "
            f"{rows_text(absent, len(absent))}: give the truth that was written with this log"
        )
    return truth.take(rows)
