"""Log loss, on clicks, of the CVR among clicks that a model implies: the checkpoint rule."""

import torch
from torch import Tensor
from torchmetrics import Metric

from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["ClickedLogLoss"]

_TINY = 1e-12


class ClickedLogLoss(Metric):
    """Log loss of pCTCVR / pCTR against the conversions of clicked rows.

    Space: clicks. pCTCVR / pCTR is the model's conversion rate of clicked impressions. Where click
    and conversion depend on each other that differs from pCVR, and the loss of a right pCVR would
    be higher.

    ``compute()`` is NaN without clicks, and `reason` says so.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    loss: Tensor
    mass: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("mass", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: FunnelPrediction, labels: FunnelLabels) -> None:
        """Add a batch."""
        first, last = prediction.stages[0], prediction.stages[-1]
        log_implied = (prediction.log_joint[last] - prediction.log_joint[first]).double()
        log_implied = log_implied.clamp(max=-_TINY)
        label = labels.conversion.double()
        loss = -(label * log_implied + (1 - label) * torch.log(-torch.expm1(log_implied)))
        weight = labels.click.double()
        if labels.weight is not None:
            weight = weight * labels.weight.double()
        self.loss += torch.where(weight > 0, weight * loss, 0.0).sum()
        self.mass += weight.sum()

    def compute(self) -> Tensor:
        """The weighted mean over clicks, in nats."""
        return self.loss / self.mass

    @property
    def reason(self) -> str | None:
        """Why `compute` gives NaN, or None where it does not."""
        return "no clicked rows of positive weight" if float(self.mass) == 0 else None
