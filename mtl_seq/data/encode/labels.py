"""Label columns as tensors."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtl_seq.records import FunnelLabels
from mtl_seq.schema import Schema

__all__ = ["encode_labels", "user_codes"]

_MISSING = np.iinfo(np.int64).min


def encode_labels(schema: Schema, log: pd.DataFrame) -> FunnelLabels:
    """Encode stages, weights, users and propensities of rows that are checked.

    Users are numbered in the order of their first row.
    """
    stages = np.stack(
        [log[column].to_numpy(dtype=np.float32) for column in schema.labels.values()], axis=1
    )

    def optional(column: str | None) -> Tensor | None:
        return (
            None
            if column is None
            else torch.from_numpy(log[column].to_numpy(dtype=np.float32, copy=True))
        )

    group = None
    if schema.group is not None:
        codes, _ = pd.factorize(log[schema.group], use_na_sentinel=False)
        group = torch.from_numpy(np.asarray(codes, dtype=np.int64))
    return FunnelLabels(
        torch.from_numpy(stages), optional(schema.weight), group, optional(schema.propensity)
    )


def user_codes(values: pd.Series) -> Tensor:
    """``(N,)`` int64 codes of users that do not depend on the other rows.

    The code of an integer is that integer, of anything else its 64-bit hash, and of a missing value
    the smallest int64.
    """
    null = values.isna().to_numpy()
    kept = values[~null]
    codes = np.full(len(values), _MISSING, dtype=np.int64)
    whole = pd.api.types.is_signed_integer_dtype(kept.dtype)
    codes[~null] = kept if whole else pd.util.hash_pandas_object(kept, index=False).astype(np.int64)
    return torch.from_numpy(codes)
