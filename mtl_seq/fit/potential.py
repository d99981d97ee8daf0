"""Potential outcomes into the labels, for models that train on them."""

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_seq.errors import DataError
from mtl_seq.records import FunnelBatch, FunnelTruth

__all__ = ["with_potential"]


def with_potential(
    batch: FunnelBatch, truth: FunnelTruth | None, rows: int, fitted: NDArray[np.int64]
) -> FunnelBatch:
    """The batch with the potential conversion of its rows.

    Args:
        batch: Training rows.
        truth: The truth of the whole log.
        rows: How many rows the whole log has.
        fitted: Positions of the training rows in it.

    Raises:
        DataError: No truth, or one of another length.
    """
    if truth is None:
        raise DataError(
            "this model trains on potential outcomes, which only a simulator knows: "
            "`fit(log, truth=truth)`"
        )
    if len(truth.potential) != rows:
        raise DataError(
            f"`truth` must have one entry per row of the log, {rows:,}, found "
            f"{len(truth.potential):,}: take both from one `sample` call"
        )
    assert batch.labels is not None
    potential = torch.from_numpy(truth.potential[fitted].astype(np.float32))
    return batch._replace(labels=batch.labels._replace(potential=potential))
