"""Log loss of a funnel's stages on labelled rows."""

from collections.abc import Mapping

import numpy as np

from mtl_seq.funnel import Funnel
from mtl_seq.records import FloatArray, FunnelLabels

__all__ = ["funnel_log_loss"]

_EPS = float(np.finfo(np.float32).eps)


def funnel_log_loss(funnel: Funnel, labels: FunnelLabels, joint: Mapping[str, FloatArray]) -> float:
    """Mean over all impressions of the cross-entropies of all stages.

    A stage counts where its parent was reached, the first one everywhere: of clicks and
    conversions, the cross-entropy of pCTR on all impressions and of pCTCVR / pCTR on clicks, both
    divided by the number of impressions. Rows count by their weights. Probabilities are clipped to
    float32's epsilon from 0 and 1.

    Args:
        funnel: The stages.
        labels: Of N rows.
        joint: By stage, ``(N,)`` probabilities that the impression reaches it.
    """
    happened = dict(zip(funnel.names, labels.stages.double().numpy().T, strict=True))
    parents = funnel.parents()
    loss = np.zeros(len(labels.stages))
    for stage, y in happened.items():
        p, reached = joint[stage], np.ones(len(y))
        if stage in parents:
            p = p / np.maximum(joint[parents[stage]], np.finfo(np.float64).tiny)
            reached = happened[parents[stage]]
        p = np.clip(p, _EPS, 1 - _EPS)
        loss -= reached * (y * np.log(p) + (1 - y) * np.log1p(-p))
    weight = None if labels.weight is None else labels.weight.double().numpy()
    return float(np.average(loss, weights=weight))
