"""Validation metrics of pCTR, pCVR and pCTCVR."""

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torchmetrics import Metric

from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["SPACES", "ValidationMetrics"]

SPACES = {"pctr": "all", "pcvr": "clicks", "pctcvr": "all"}
"""By quantity, the impressions on which it is measured: those that have its label."""


class ValidationMetrics(Metric):
    """Log loss, PCOC and rate of pCTR and pCTCVR over all impressions, and of pCVR over clicks.

    All nine are computed together, from logits; each equals the metric of its name.
    """

    is_differentiable = False
    full_state_update = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        zeros = torch.zeros(len(SPACES), 4, dtype=torch.float64)
        self.add_state("sums", zeros, dist_reduce_fx="sum")

    def update(self, prediction: FunnelPrediction, labels: FunnelLabels) -> None:
        """Add a batch."""
        last = prediction.stages[-1]
        logits = (prediction.pctr_logit, prediction.pcvr_logit, prediction.joint_logit[last])
        z = torch.stack(logits).detach().double()
        y = torch.stack((labels.click, labels.conversion, labels.conversion)).double()
        weight = (
            torch.ones_like(y) if labels.weight is None else labels.weight.double().expand_as(y)
        )
        on_clicks = torch.tensor([s == "clicks" for s in SPACES.values()], device=z.device)
        weight = torch.where(on_clicks[:, None] & (labels.click <= 0), 0.0, weight)
        terms = (torch.ones_like(z), y, torch.sigmoid(z), softplus(z) - y * z)
        self.sums += torch.stack([(weight * term).sum(1) for term in terms], dim=1)

    def compute(self) -> dict[str, Tensor]:
        """By ``<quantity>/log_loss``, ``/pcoc`` and ``/rate``; NaN where nothing is observed."""
        mass, target, predicted, loss = self.sums.unbind(1)
        columns = {
            "log_loss": loss / mass,
            "pcoc": predicted / torch.where(target > 0, target, torch.nan),
            "rate": target / mass,
        }
        return {
            f"{quantity}/{name}": column[index]
            for index, quantity in enumerate(SPACES)
            for name, column in columns.items()
        }
