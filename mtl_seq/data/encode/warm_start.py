"""A codec that knows new days, too, and still says of the old ids what it said before."""

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

__all__ = ["extended", "fold_tables", "moved_rows"]

IntArray = NDArray[np.int64]


def extended(old: Codec, new: Codec) -> Codec:
    """A codec of the rows that two were fitted on.

    Ids of the old one keep their rows, those that only the new one knows are appended, in its
    order; a missing value comes last, as ever (`moved_rows`). Scaling and cuts are the old ones,
    since a network was trained on them. Target encodings count the rows of both.

    Args:
        old: Fitted first.
        new: Fitted to later rows of the same schema.

    Raises:
        SchemaError: Features that differ.
        DataError: A column that held integers and now holds strings, or is hashed otherwise.
    """
    if old.schema.to_dict() != new.schema.to_dict():
        raise SchemaError("the schema must be that of the codec to extend: fit a codec anew")
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
    """``(V,)`` where each row of a vocabulary stands in one that knows its ids, too."""
    if not isinstance(old, Vocabulary) or not isinstance(new, Vocabulary):
        return np.arange(old.rows)
    moved = np.zeros(old.rows, dtype=np.int64)
    count = len(old.keys)
    moved[1 : count + 1] = new.rows_of(old.keys)
    if old.missing:
        moved[-1] = new.rows - 1
    return moved


def fold_tables(codec: Codec, source: Source) -> Mapping[str, FloatTable] | None:
    """Target encodings of training rows on disk, from all that a codec counted but their fold.

    Args:
        codec: Whose counts hold those of the rows.
        source: The rows.

    Returns:
        Tables for `StreamLoader(folds=...)`; None where the codec has no target encodings.
    """
    if not codec.encodings:
        return None
    sums: dict[str, FoldCounts] = {}
    for piece in source.select(codec.columns()).pieces():
        frame = piece.frame()
        stages = StageRows.of(codec.schema, frame)
        positions = np.arange(piece.position, piece.position + len(frame))
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
            f"column {column!r} held keys of kind {old.kind!r}, and now of kind {new.kind!r}: "
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
