"""Share of pairs that a score misranks: the checkpoint rule of rankers."""

import torch
from torch import Tensor
from torchmetrics import Metric

from mtl_seq.functional import auc
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["MisrankedShare"]


class MisrankedShare(Metric):
    """One minus the AUC of the logit of pCTCVR for the conversion; ties count one half.

    Space: all impressions. It keeps every score until `compute`, which is NaN without a conversion
    or without another row, and `reason` says so.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    score: list[Tensor]
    label: list[Tensor]
    weight: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("score", "label", "weight"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, prediction: FunnelPrediction, labels: FunnelLabels) -> None:
        """Add a batch."""
        score = prediction.joint_logit[prediction.stages[-1]].detach()
        self.score.append(score)
        self.label.append(labels.conversion.to(score.dtype))
        weight = torch.ones_like(score) if labels.weight is None else labels.weight
        self.weight.append(weight.to(score.dtype))

    def compute(self) -> Tensor:
        """A float64 scalar in [0, 1]."""
        if not self.score:
            return torch.tensor(torch.nan, dtype=torch.float64)
        score, label, weight = (_joined(part) for part in (self.score, self.label, self.weight))
        return 1 - auc(score, label, weight)

    @property
    def reason(self) -> str | None:
        """Why `compute` gives NaN, or None where it does not."""
        share = self.compute()
        return "conversions and other rows are both needed" if bool(share.isnan()) else None


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    # After a reduction over processes the list is one tensor.
    return parts if isinstance(parts, Tensor) else torch.cat(parts)
