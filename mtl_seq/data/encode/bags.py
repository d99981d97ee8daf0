"""Bags: columns that hold a list in each row."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.data.encode.vocabulary import AnyVocabulary
from mtl_seq.errors import DataError, rows_text

__all__ = ["encode_bag", "encode_bag_weights", "exploded", "padded_codes"]


def exploded(column: str, values: pd.Series) -> pd.Series:
    """One row per item of a bag, indexed by the position of the row it came from.

    Raises:
        DataError: A cell that is neither a list nor missing.
    """
    known = np.flatnonzero(values.notna().to_numpy())
    cells = values.to_numpy(dtype=object)[known]
    for cell in cells:
        if not isinstance(cell, (np.ndarray, list, tuple)):
            raise DataError(
                f"bag column {column!r} must hold lists, found {cell!r}: split it, or declare it "
                "as an id"
            )
    kinds = {cell.dtype if isinstance(cell, np.ndarray) else None for cell in cells}
    if len(kinds) == 1 and None not in kinds:  # as read from parquet; several times as fast
        rows = np.repeat(known, [len(cell) for cell in cells])
        return pd.Series(np.concatenate(cells), index=rows).dropna().infer_objects()
    return values.reset_index(drop=True).explode().dropna().infer_objects()


def encode_bag(column: str, values: pd.Series, vocabulary: AnyVocabulary) -> NDArray[np.int64]:
    """``(N, L)`` rows of the vocabulary, padded with -1."""
    items = exploded(column, values)
    return padded_codes(items, vocabulary.encode(items), len(values))


def padded_codes(items: pd.Series, codes: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """``(N, L)`` rows of the vocabulary, padded with -1.

    Args:
        items: The items that `exploded` gives.
        codes: Their rows of the vocabulary.
        rows: N.
    """
    return _padded(items, codes, rows, -1)


def encode_bag_weights(column: str, weights: str, log: pd.DataFrame) -> Tensor:
    """``(N, L)`` float32 weights of a bag's items, padded with 0.

    Raises:
        DataError: Weights that are not as many as the items, or not numbers of at least 0.
    """
    items = exploded(column, log[column])
    shares = exploded(weights, log[weights])
    rows = len(log)
    counts = [np.bincount(x.index.to_numpy(), minlength=rows) for x in (items, shares)]
    wrong = counts[0] != counts[1]
    if wrong.any():
        where = rows_text(log.index[wrong], int(wrong.sum()))
        raise DataError(
            f"{weights!r} must hold one weight per item of {column!r}, not so in {where}"
        )
    numbers = shares.to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        positions = np.unique(shares.index.to_numpy()[bad])
        where = rows_text(log.index[positions], len(positions))
        raise DataError(f"weights {weights!r} must be numbers of at least 0, not so in {where}")
    return torch.from_numpy(_padded(shares, numbers.astype(np.float32), rows, 0))


def _padded(items: pd.Series, codes: NDArray[Any], rows: int, empty: int) -> NDArray[Any]:
    row = items.index.to_numpy()
    counts = np.bincount(row, minlength=rows)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    padded = np.full((rows, max(int(counts.max(initial=0)), 1)), empty, dtype=codes.dtype)
    padded[row, place] = codes
    return padded
