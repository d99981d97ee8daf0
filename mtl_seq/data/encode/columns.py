"""Columns of a log to features, given the rows of its ids in their vocabularies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.data.encode.bags import encode_bag_weights
from mtl_seq.data.encode.scaling import Scale
from mtl_seq.schema import Schema

__all__ = ["encode_features"]


def encode_features(
    schema: Schema,
    log: pd.DataFrame,
    codes: Mapping[str, NDArray[np.int64]],
    scales: Mapping[str, Scale],
    edges: Mapping[str, NDArray[np.float64]],
) -> dict[str, Tensor]:
    """Ids, bags, bag weights, scaled numbers and their buckets.

    Args:
        schema: The roles of the columns.
        log: The rows; dense columns are checked.
        codes: By id ``(N,)`` and by bag ``(N, L)``, rows of the vocabulary.
        scales: Mean and standard deviation of each dense column.
        edges: Bucket boundaries of each dense column that is also bucketed.
    """
    features = {column: torch.from_numpy(rows) for column, rows in codes.items()}
    for column, weights in schema.bag_weights.items():
        features[f"{column}:weight"] = encode_bag_weights(column, weights, log)
    for column, scale in scales.items():
        numbers = log[column].to_numpy(dtype=np.float64, na_value=np.nan)
        features[column] = torch.from_numpy(scale.encode(numbers))
        if column in edges:
            bucket = np.searchsorted(edges[column], numbers, side="right") + 1
            bucket = np.where(np.isnan(numbers), 0, bucket).astype(np.int64)
            features[f"{column}:bucket"] = torch.from_numpy(bucket)
    return features
