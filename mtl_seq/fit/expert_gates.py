"""Shares of experts in the towers of a fitted model, row by row."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import read_frame
from mtl_seq.errors import NotFittedError
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.nn.forward import batched_forward

__all__ = ["Gates", "expert_gates"]


class Gates(NamedTuple):
    """Shares of experts.

    Attributes:
        towers: Names of the T towers.
        share: ``(N, T, E)`` each tower's share of each expert; rows add up to 1.
    """

    towers: tuple[str, ...]
    share: NDArray[np.float64]


def expert_gates(estimator: FunnelEstimator, log: pd.DataFrame | str | Path) -> Gates:
    """Compute the gates of a fitted model on some rows.

    Args:
        estimator: Fitted, on a bottom with experts.
        log: The rows, or a parquet file of them.

    Returns:
        The gates, in the order of the rows.

    Raises:
        CompositionError: The model's bottom has no experts.
        NotFittedError: Nothing was fitted.
    """
    if not hasattr(estimator, "model_"):
        raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")
    network = estimator.model_.network
    rows = estimator.codec_.encode(read_frame(log), labels=False)
    (share,) = batched_forward(
        network, rows.features, lambda gates: (gates,), forward=network.gates
    )
    return Gates(network.towers, share.numpy())
