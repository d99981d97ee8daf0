"""Predictions of a log of any length."""

from pathlib import Path

from mtl_seq.data import map_parquet
from mtl_seq.errors import NotFittedError
from mtl_seq.export.exported import Exported
from mtl_seq.export.manifest import MANIFEST
from mtl_seq.fit import FunnelEstimator

__all__ = ["load_model", "predict_parquet"]

_ROWS = 65_536


def load_model(path: str | Path) -> FunnelEstimator | Exported:
    """A folder that `fit` or `export` wrote.

    Raises:
        ArtifactError: It is neither, torn, or from a newer version.
    """
    if (Path(path) / MANIFEST).is_file():
        return Exported.load(path)
    return FunnelEstimator.load(path)


def predict_parquet(
    model: FunnelEstimator | Exported, source: str | Path, out: str | Path, *, rows: int = _ROWS
) -> dict[str, float]:
    """Score a log, parquet to parquet, at a memory that does not grow with its rows.

    Args:
        model: A fitted estimator, or an exported one.
        source: A parquet file, a folder of them, or a glob, here or at a URL that fsspec knows;
            labels need not be there.
        out: The parquet file to write, whole or not at all: one row per row of the log, in its
            order. The index of one file is kept; the rows of several are numbered through.
        rows: How many rows are in memory at a time.

    Returns:
        The mean of every column written, and how many rows there were as ``rows``.

    Raises:
        ArtifactError: A file that is no parquet, torn or gone.
        SchemaError: A file that lacks a feature.
        DataError: No rows, or values that cannot be used.
        NotFittedError: Nothing was fitted.
    """
    if not isinstance(model, Exported) and not hasattr(model, "codec_"):
        raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")
    codec = model.codec if isinstance(model, Exported) else model.codec_
    return map_parquet(source, out, model.predict, columns=codec.columns(labels=False), rows=rows)
