"""Training or validation rows: encoded in memory, or on disk and encoded while they are read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import BatchLoader, Codec, Source, StreamLoader
from mtl_seq.data.encode.labels import encode_labels
from mtl_seq.data.validate.checks import check_labels, check_row_values
from mtl_seq.errors import ArtifactError
from mtl_seq.records import FunnelBatch, FunnelLabels
from mtl_seq.schema import Schema

__all__ = [
    "IN_MEMORY",
    "Outcomes",
    "Rows",
    "Streamed",
    "has_propensity",
    "in_order",
    "is_streamed",
    "outcomes",
]

IN_MEMORY = 1_000_000
"""Largest number of rows of a local file or folder that is read into memory; larger ones, globs and
URLs are streamed. A frame stays in memory."""

_BATCH = 65_536


class Streamed(NamedTuple):
    """Rows on disk.

    Attributes:
        source: The files.
        codec: Encodes the rows.
        folds: Target encodings from other folds, for the rows that the codec was fitted on; None
            for other rows.
    """

    source: Source
    codec: Codec
    folds: Mapping[str, NDArray[np.float32]] | None = None


Rows = FunnelBatch | Streamed
"""Rows in memory, or on disk."""


class Outcomes(NamedTuple):
    """Counts of some rows.

    Attributes:
        rows: Number of rows.
        clicks: Number of clicked rows of positive weight.
        conversions: Number of conversions.
    """

    rows: int
    clicks: int
    conversions: int


def is_streamed(log: pd.DataFrame | str | Path) -> bool:
    """Whether the rows of a log are streamed; see `IN_MEMORY`.

    Raises:
        SchemaError: Files that do not agree on a column.
        DataError: No rows.
    """
    if isinstance(log, pd.DataFrame):
        return False
    if "://" in str(log) or any(sign in str(log) for sign in "*?["):
        return True
    try:
        return Source.open(log).rows > IN_MEMORY
    except ArtifactError:
        return False  # reading it raises the error


def in_order(rows: Rows, *, rank: int = 0, world_size: int = 1) -> BatchLoader | StreamLoader:
    """Batches of all rows in order, each process with its part of them.

    Args:
        rows: The rows.
        rank: Number of this process.
        world_size: Number of processes.
    """
    if isinstance(rows, FunnelBatch):
        return BatchLoader(rows, _BATCH, rank=rank, world_size=world_size)
    return StreamLoader(
        rows.source,
        rows.codec,
        _BATCH,
        seed=0,
        rank=rank,
        world_size=world_size,
        shuffle_buffer=0,
        streams=max(1, world_size),
        folds=rows.folds,
    )


def has_propensity(rows: Rows) -> bool:
    """Whether the log has propensities."""
    if isinstance(rows, FunnelBatch):
        return rows.labels is not None and rows.labels.propensity is not None
    return rows.codec.schema.propensity is not None


def outcomes(rows: Rows) -> Outcomes:
    """Count rows, clicks and conversions.

    Raises:
        DataError: Labels that cannot be used.
    """
    parts = [_counted(part) for part in _labels(rows)]
    return Outcomes(*(sum(column) for column in zip(*parts, strict=True)))


def _counted(labels: FunnelLabels) -> Outcomes:
    clicked = labels.click > 0
    if labels.weight is not None:
        clicked = clicked & (labels.weight > 0)
    return Outcomes(len(clicked), int(clicked.sum()), int(labels.conversion.sum()))


def _labels(rows: Rows) -> Iterable[FunnelLabels]:
    if isinstance(rows, FunnelBatch):
        assert rows.labels is not None
        yield rows.labels
        return
    schema = rows.codec.schema
    for chunk in rows.source.select(_label_columns(schema)).chunks():
        frame = chunk.frame()
        check_labels(schema, frame)
        check_row_values(schema, frame)
        yield encode_labels(schema, frame)


def _label_columns(schema: Schema) -> tuple[str, ...]:
    further = (schema.weight, schema.group, schema.propensity)
    return tuple(dict.fromkeys([*schema.labels.values(), *(c for c in further if c is not None)]))
