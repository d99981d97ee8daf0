"""AITM's penalty on a stage that is more probable than the one before it (Xi et al., KDD 2021)."""

import torch
from torch import Tensor

from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["MonotonicityPenalty"]


class MonotonicityPenalty(Loss):
    """By how much a chain's joint probabilities rise: ``sum_{k>=2} max(p_k - p_{k-1}, 0)``.

    Space: all impressions. Normalisation: the mean over all impressions, as in the paper and in its
    authors' code. A port (AITM-torch) sums it over the batch beside means of the cross-entropies,
    which multiplies its alpha by the batch size. Detaches: nothing. It reads no label.

    It is for heads whose logits are joints. Heads of conditionals satisfy the constraint by
    construction, and the penalty is 0.
    """

    space = "all"
    detaches_pctr = False

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:  # noqa: ARG002
        """Prediction of B rows of a chain -> ``(B,)`` terms in [0, K - 1]."""
        joint = torch.stack(list(prediction.log_joint.values()), dim=1).exp()
        return torch.relu(joint[:, 1:] - joint[:, :-1]).sum(1)
