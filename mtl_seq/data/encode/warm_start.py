"""Warm start of a codec: extend it by new ids without moving the old ones."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mtl_seq.data.encode.codec import Codec
from mtl_seq.data.encode.target_encoding import (
    FloatTable,
    FoldCounts,
    StageRows,
    TargetEncoding,
    fold_cells,
    unseen_of,
)
from mtl_seq.data.encode.vocabulary import AnyVocabulary, Vocabulary
from mtl_seq.data.parquet.source import Source
from mtl_seq.errors import DataError, SchemaError

__all__ = ["extend_codec", "fold_tables", "moved_rows"]

IntArray = NDArray[np.int64]


def extend_codec(old: Codec, new: Codec) -> Codec:
    """Combine two codecs into one of all the rows that they were fitted on.

    Old ids keep their rows, new ids are appended in the order of the new codec, and missing values
    keep the last row (`moved_rows`). Scales and bucket boundaries are the old ones, since a network
    was trained on them. Target encodings count the rows of both.

    Args:
        old: The codec fitted first.
        new: A codec fitted to later rows of the same schema.

    Raises:
        SchemaError: Features that differ.
        DataError: A column that held integers and now holds strings, or another hashing.
    """
    if old.schema.to_dict() != new.schema.to_dict():
        raise SchemaError("the schema must be that of the codec to extend: fit a new codec")
    if set(old.encodings) != set(new.encodings) or set(old.edges) != set(new.edges):
        raise SchemaError(
            "target encodings and buckets must be those of the codec to extend: give the same "
            "`Encoding`"
        )
    vocabularies = {
        column: _joined(column, known, new.vocabularies[column])
        for column, known in old.vocabularies.items()
    }
    encodings = {
        column: _summed(
            [
                (
                    codec.encodings[column],
                    moved_rows(codec.vocabularies[column], vocabularies[column]),
                )
                for codec in (old, new)
            ],
            vocabularies[column].rows,
        )
        for column in old.encodings
    }
    return Codec(old.schema, vocabularies, old.scales, old.impute, old.edges, encodings)


def moved_rows(old: AnyVocabulary, new: AnyVocabulary) -> IntArray:
    """``(V,)`` the row of each row of a vocabulary in one that contains its ids."""
    if not isinstance(old, Vocabulary) or not isinstance(new, Vocabulary):
        return np.arange(old.rows)
    moved = np.zeros(old.rows, dtype=np.int64)
    count = len(old.keys)
    moved[1 : count + 1] = new.rows_of(old.keys)
    if old.missing:
        moved[-1] = new.rows - 1
    return moved


def fold_tables(codec: Codec, source: Source) -> Mapping[str, FloatTable] | None:
    """Compute target encodings of training rows on disk, from the counts outside their fold.

    Args:
        codec: A codec whose counts include those of the rows.
        source: The rows.

    Returns:
        Tables for `StreamLoader(folds=...)`; None where the codec has no target encodings.
    """
    if not codec.encodings:
        return None
    sums: dict[str, FoldCounts] = {}
    for chunk in source.select(codec.columns()).chunks():
        frame = chunk.frame()
        stages = StageRows.of(codec.schema, frame)
        positions = np.arange(chunk.position, chunk.position + len(frame))
        for column in codec.encodings:
            vocabulary = codec.vocabularies[column]
            cells = fold_cells(vocabulary.encode(frame[column]), vocabulary.rows, positions)
            counts = FoldCounts.fit(cells, vocabulary.rows, stages)
            before = sums.get(column)
            if before is not None:
                counts = FoldCounts(*(a + b for a, b in zip(before, counts, strict=True)))
            sums[column] = counts
    return {column: codec.encodings[column].fold_tables(parts) for column, parts in sums.items()}


def _joined(column: str, old: AnyVocabulary, new: AnyVocabulary) -> AnyVocabulary:
    if not isinstance(old, Vocabulary) or not isinstance(new, Vocabulary):
        if old.to_dict() != new.to_dict():
            raise DataError(f"column {column!r} must be hashed as before, {old.to_dict()}")
        return old
    if len(old.keys) and len(new.keys) and old.kind != new.kind:
        raise DataError(
            f"column {column!r} must hold keys of kind {old.kind!r}, found {new.kind!r}: "
            "convert it to the same type"
        )
    parts = [old.keys] if len(old.keys) else []
    if len(new.keys):
        parts.append(new.keys[old.rows_of(new.keys) == 0] if parts else new.keys)
    keys = np.concatenate(parts) if parts else old.keys
    return Vocabulary(column, keys, missing=old.missing or new.missing)


def _summed(parts: list[tuple[TargetEncoding, IntArray]], rows: int) -> TargetEncoding:
    first = parts[0][0]
    stages = len(first.went_on)
    went_on, reached, seen = np.zeros((stages, rows)), np.zeros((stages, rows)), np.zeros(rows)
    for encoding, moved in parts:
        went_on[:, moved] += encoding.went_on
        reached[:, moved] += encoding.reached
        seen[moved] += encoding.seen
    return TargetEncoding(went_on, reached, seen, first.smoothing, unseen_of(seen))
