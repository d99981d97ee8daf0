"""Label columns to tensors."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtl_seq.data.checks import check_labels, check_row_values
from mtl_seq.records import FunnelLabels
from mtl_seq.schema import Schema

__all__ = ["encode_labels"]


def encode_labels(schema: Schema, frame: pd.DataFrame) -> FunnelLabels:
    """Stages, weights, users and propensities of some rows.

    Users are numbered in the order in which these rows meet them.

    Raises:
        DataError: Values that cannot be used.
    """
    check_labels(schema, frame)
    check_row_values(schema, frame)
    stages = np.stack(
        [frame[column].to_numpy(dtype=np.float32) for column in schema.labels.values()], axis=1
    )

    def optional(column: str | None) -> Tensor | None:
        return (
            None
            if column is None
            else torch.from_numpy(frame[column].to_numpy(dtype=np.float32, copy=True))
        )

    group = None
    if schema.group is not None:
        codes, _ = pd.factorize(frame[schema.group], use_na_sentinel=False)
        group = torch.from_numpy(np.asarray(codes, dtype=np.int64))
    return FunnelLabels(
        torch.from_numpy(stages), optional(schema.weight), group, optional(schema.propensity)
    )
