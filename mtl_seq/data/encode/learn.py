"""What a codec learns from training rows in memory, with each id looked up once."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data.encode.bags import exploded, padded_codes
from mtl_seq.data.encode.scaling import Scale
from mtl_seq.data.encode.settings import Encoding
from mtl_seq.data.encode.target_encoding import FoldCounts, TargetEncoding, count_folds
from mtl_seq.data.encode.vocabulary import Vocabulary, hashed_vocabularies
from mtl_seq.errors import DataError
from mtl_seq.schema import Schema

__all__ = ["Codes", "Learned", "learn"]

Codes = dict[str, NDArray[np.int64]]
"""Rows of the vocabularies by column: ``(N,)`` of an id, ``(N, L)`` of a bag."""


class Learned(NamedTuple):
    """What a codec learns, and the encoded rows that it learns from.

    Attributes:
        parts: Arguments of `Codec` but for the schema.
        codes: The rows, encoded.
        folds: By id, the counts of the rows by fold; empty without target encodings.
    """

    parts: dict[str, Any]
    codes: Codes
    folds: dict[str, FoldCounts]


def learn(encoding: Encoding, schema: Schema, log: pd.DataFrame) -> Learned:
    """Learn from training rows that are checked.

    Args:
        encoding: The settings.
        schema: The roles of the columns.
        log: The rows.

    Raises:
        DataError: Ids that are neither integers nor strings, a dense column without a value, or a
            smoothing of target encodings that is not positive.
    """
    vocabularies = hashed_vocabularies(schema, encoding.hashed)
    codes: Codes = {}
    for column in (*schema.ids, *schema.bags):
        bag = column in schema.bags
        values = exploded(column, log[column]) if bag else log[column]
        if column in vocabularies:
            rows = vocabularies[column].encode(values)
        else:
            vocabularies[column], rows = Vocabulary.fit_encode(
                column, values, min_count=encoding.min_count
            )
        codes[column] = padded_codes(values, rows, len(log)) if bag else rows
    scales, edges = {}, {}
    for column in schema.dense:
        numbers = log[column].to_numpy(dtype=np.float64, na_value=np.nan)
        scales[column] = Scale.fit(column, numbers)
        if encoding.buckets:
            cuts = np.nanquantile(numbers, np.linspace(0, 1, encoding.buckets + 1)[1:-1])
            edges[column] = np.unique(cuts)
    folds, encodings, smoothing = {}, {}, encoding.target_encoding
    if smoothing is not None:
        if not smoothing > 0:
            raise DataError(f"`target_encoding` must be above 0, found {smoothing}")
        ids = {column: vocabularies[column] for column in schema.ids}
        folds = count_folds(schema, log, codes, ids)
        encodings = {
            c: TargetEncoding.from_counts(counts, smoothing=smoothing)
            for c, counts in folds.items()
        }
    parts = {
        "vocabularies": vocabularies,
        "scales": scales,
        "impute": encoding.impute,
        "edges": edges,
        "encodings": encodings,
    }
    return Learned(parts, codes, folds)
