"""Fit a codec to a log that is larger than memory, reading it once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data.encode.codec import Codec
from mtl_seq.data.encode.id_counts import IdCounts
from mtl_seq.data.encode.scaling import Scale
from mtl_seq.data.encode.settings import Encoding
from mtl_seq.data.encode.target_encoding import FOLDS, FloatTable, TargetEncoding
from mtl_seq.data.encode.vocabulary import AnyVocabulary, hashed_vocabularies
from mtl_seq.data.parquet.quantile_sketch import Moments, Sketch
from mtl_seq.data.parquet.source import Chunk, Source
from mtl_seq.data.validate.checks import (
    check_dense,
    check_labels,
    check_row_values,
    needed_columns,
)
from mtl_seq.errors import DataError, MtlSeqError
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SourceFit", "fit_source"]

_CHUNK_ROWS = 262_144
_SAMPLE = 200_000


class SourceFit(NamedTuple):
    """Result of `fit_source`.

    Attributes:
        codec: Vocabularies, scaling, target encodings.
        folds: Tables for `StreamLoader(folds=...)`: target encodings of the training rows from
            other folds; None where there are none.
        stages: ``(P, K)`` float32, the combinations of labels that occur.
        counts: ``(P,)`` rows of each.
        sample: At most 200,000 rows, evenly spaced, for `check_leaks`.
    """

    codec: Codec
    folds: Mapping[str, FloatTable] | None
    stages: NDArray[np.float32]
    counts: NDArray[np.int64]
    sample: pd.DataFrame


def fit_source(schema: Schema, source: Source, encoding: Encoding | None = None) -> SourceFit:
    """Fit a codec to training rows on disk, and check every row.

    The codec is that of `Codec.fit_with` on the same rows: vocabularies and counts are equal, means
    and deviations up to rounding, and bucket boundaries where a column has at most 262,144
    different values; above, the error of their ranks is below a thousandth (`Sketch`). Memory holds
    the different ids and their counts, not the rows.

    Args:
        schema: The roles of the columns.
        source: The rows to train on.
        encoding: Settings of the encoding; by default those of `Encoding`.

    Raises:
        SchemaError: A declared column is absent from a file, or of another type there.
        DataError: Values that cannot be trained on; the message names the file and the rows.
        ArtifactError: A file that is missing or corrupt.
    """
    encoding = encoding or Encoding()
    if encoding.target_encoding is not None and not encoding.target_encoding > 0:
        raise DataError(f"`target_encoding` must be above 0, found {encoding.target_encoding}")
    rows = source.select(needed_columns(schema, labels=True))
    running = _Running(schema, encoding, step=max(1, -(-rows.rows // _SAMPLE)))
    for chunk in rows.chunks(batch_rows=_CHUNK_ROWS):
        try:
            running.add(chunk)
        except MtlSeqError as error:
            raise type(error)(f"{chunk.file}: {error}") from error
    return running.result()


class _Running:
    """Statistics of the rows so far."""

    def __init__(self, schema: Schema, encoding: Encoding, step: int) -> None:
        self.schema, self.encoding, self.step = schema, encoding, step
        self.hashed = hashed_vocabularies(schema, encoding.hashed)
        encoded = encoding.target_encoding is not None
        self.ids = {
            column: IdCounts(
                column,
                self.hashed.get(column),
                folds=FOLDS if encoded and column in schema.ids else 1,
                stages=len(schema.labels) if encoded and column in schema.ids else 0,
            )
            for column in (*schema.ids, *schema.bags)
        }
        self.moments = {column: Moments() for column in schema.dense}
        self.sketches = {column: Sketch() for column in schema.dense if encoding.buckets}
        self.patterns = np.zeros(2 ** len(schema.labels), dtype=np.int64)
        self.sample: list[pd.DataFrame] = []

    def add(self, chunk: Chunk) -> None:
        frame = chunk.frame()
        check_labels(self.schema, frame)
        check_dense(self.schema, frame, impute=self.encoding.impute is not None)
        check_row_values(self.schema, frame)
        labels = np.stack([frame[c].to_numpy(dtype=bool) for c in self.schema.labels.values()])
        pattern = (labels * (1 << np.arange(len(labels)))[:, None]).sum(0)
        self.patterns += np.bincount(pattern, minlength=len(self.patterns))
        for column, counts in self.ids.items():
            values = chunk.rows[column]
            if column in self.schema.bags:
                values = _items(column, values)
            counts.add(values, chunk.position, labels)
        for column, moments in self.moments.items():
            numbers = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            numbers = numbers[~np.isnan(numbers)]
            moments.add(numbers)
            if column in self.sketches:
                self.sketches[column].add(numbers)
        taken = frame.iloc[-chunk.position % self.step :: self.step]
        if len(taken):
            self.sample.append(taken.copy())

    def result(self) -> SourceFit:
        schema, encoding = self.schema, self.encoding
        scales, edges = {}, {}
        for column, moments in self.moments.items():
            if not moments.count:
                raise DataError(f"dense column {column!r} has no value at all: leave it out")
            scales[column] = Scale.from_moments(moments.mean, moments.deviation)
        for column, sketch in self.sketches.items():
            cuts = sketch.quantiles(np.linspace(0, 1, encoding.buckets + 1)[1:-1])
            edges[column] = np.unique(cuts)
        vocabularies: dict[str, AnyVocabulary] = {}
        encodings: dict[str, TargetEncoding] = {}
        folds: dict[str, FloatTable] = {}
        for column in [*self.ids]:
            counts = self.ids.pop(column)  # so that its memory is free again
            vocabularies[column] = counts.vocabulary(encoding.min_count)
            if encoding.target_encoding is not None and column in schema.ids:
                parts = counts.by_fold(vocabularies[column], schema)
                encodings[column] = TargetEncoding.from_counts(
                    parts, smoothing=encoding.target_encoding
                )
                folds[column] = encodings[column].fold_tables(parts)
        codec = Codec(schema, vocabularies, scales, encoding.impute, edges, encodings)
        seen = np.flatnonzero(self.patterns)
        stages = (seen[:, None] >> np.arange(len(schema.labels)) & 1).astype(np.float32)
        return SourceFit(codec, folds or None, stages, self.patterns[seen], pd.concat(self.sample))


def _items(column: str, values: "pa.Array") -> "pa.Array":
    from pyarrow import types

    kind = values.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise DataError(
            f"bag column {column!r} must hold lists, found type {kind}: split it, or declare it as "
            "an id"
        )
    return values.flatten().drop_null()
