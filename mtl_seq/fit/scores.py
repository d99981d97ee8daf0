"""What a network says of many rows."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_seq.data import BatchLoader
from mtl_seq.nn import FunnelNetwork
from mtl_seq.records import FunnelBatch

__all__ = ["Scores", "score_rows"]

FloatArray = NDArray[np.float64]

_ROWS = 65_536


class Scores(NamedTuple):
    """Predictions, ``(N,)`` float64 in [0, 1]."""

    pctr: FloatArray
    pcvr: FloatArray
    pctcvr: FloatArray


def score_rows(network: FunnelNetwork, rows: FunnelBatch) -> Scores:
    """Predict rows in memory, in their order; labels are not read.

    Args:
        network: Put into eval mode.
        rows: The rows.
    """
    network.eval()
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for batch in BatchLoader(FunnelBatch(rows.features), _ROWS):
            prediction = network({k: x.to(device) for k, x in batch.features.items()})
            columns = (prediction.pctr, prediction.pcvr, prediction.pctcvr)
            parts.append(torch.stack(columns, dim=1).double().cpu())
    return Scores(*torch.cat(parts).numpy().T.copy())
