"""Rows to train on or to hold out: encoded in memory, or on disk and encoded as they are read."""

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
"""Up to so many rows a local file or folder is read whole; beyond, and from a glob or a URL, rows
are streamed. A frame stays where it is."""

_BATCH = 65_536


class Streamed(NamedTuple):
    """Rows on disk.

    Attributes:
        source: Where they are.
        codec: Encodes them.
        folds: Target encodings from other folds, for the rows that the codec was fitted on; None
            for other rows.
    """

    source: Source
    codec: Codec
    folds: Mapping[str, NDArray[np.float32]] | None = None


Rows = FunnelBatch | Streamed
"""Rows in memory, or on disk."""


class Outcomes(NamedTuple):
    """What is known of some rows before any model is.

    Attributes:
        rows: How many there are.
        clicks: Those of them that were clicked and have a positive weight.
        conversions: Those that converted.
    """

    rows: int
    clicks: int
    conversions: int


def is_streamed(place: pd.DataFrame | str | Path) -> bool:
    """Whether the rows of a log are streamed; see `IN_MEMORY`.

    Raises:
        SchemaError: Files that do not agree on a column.
        DataError: No rows.
    """
    if isinstance(place, pd.DataFrame):
        return False
    if "://" in str(place) or any(sign in str(place) for sign in "*?["):
        return True
    try:
        return Source.open(place).rows > IN_MEMORY
    except ArtifactError:
        return False  # who reads it will say what is wrong


def in_order(rows: Rows, *, rank: int = 0, world_size: int = 1) -> BatchLoader | StreamLoader:
    """Batches of all rows, not shuffled, each process with its part of them.

    Args:
        rows: The rows.
        rank: Which process this is.
        world_size: How many there are.
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
    """Whether the log has propensities of its own."""
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
