"""Reading and writing logs and truths."""

from pathlib import Path

import numpy as np
import pandas as pd

from mtl_seq._files import atomic_path
from mtl_seq.errors import ArtifactError
from mtl_seq.records import FunnelTruth

__all__ = ["read_frame", "truth_from_frame", "truth_to_frame", "write_frame"]

_TRUE = "true_"


def read_frame(source: "pd.DataFrame | str | Path") -> pd.DataFrame:
    """A frame as it is, or one read from a parquet file.

    Raises:
        ArtifactError: No such file, or no parquet.
    """
    if isinstance(source, pd.DataFrame):
        return source
    path = Path(source)
    if not path.is_file():
        raise ArtifactError(f"no parquet file {path}")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is no parquet file: {error}") from error


def write_frame(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame as parquet, whole or not at all."""
    with atomic_path(path) as aside:
        frame.to_parquet(aside)


def truth_to_frame(truth: FunnelTruth) -> pd.DataFrame:
    """One column per array of the truth, named ``true_...``."""
    return pd.DataFrame({_TRUE + name: array for name, array in truth.arrays().items()})


def truth_from_frame(frame: pd.DataFrame) -> FunnelTruth:
    """Read what `truth_to_frame` made.

    Raises:
        ArtifactError: A column is absent.
    """
    arrays = {
        str(name).removeprefix(_TRUE): column.to_numpy(dtype=np.float64)
        for name, column in frame.items()
        if str(name).startswith(_TRUE)
    }
    try:
        return FunnelTruth.of_arrays(arrays)
    except KeyError:
        needed = [n for n in FunnelTruth._fields if n not in FunnelTruth._field_defaults]
        absent = [_TRUE + name for name in needed if name not in arrays]
        raise ArtifactError(
            f"a truth must hold the columns {absent}, found {list(frame.columns)}"
        ) from None
