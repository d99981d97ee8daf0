"""The exported module: a network, followed by the calibration of pCVR."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtl_seq.calibration import Calibration
from mtl_seq.errors import ArtifactError
from mtl_seq.nn import FunnelNetwork

__all__ = ["CalibrationMap", "Served"]


class CalibrationMap(nn.Module):
    """A fitted `Calibration` of logits, as a torch module."""

    points: Tensor
    values: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        if calibration.method not in ("shift", "platt", "isotonic"):
            raise ArtifactError(
                f"a calibration by {calibration.method!r} cannot be exported: fit the model with "
                "another `calibrate`, or predict from the folder that `save` wrote"
            )
        self.slope, self.intercept = calibration.slope, calibration.intercept
        self.steps = calibration.method == "isotonic"
        values = torch.tensor(calibration.values, dtype=torch.float64).logit()
        self.register_buffer("points", torch.tensor(calibration.points, dtype=torch.float64))
        self.register_buffer("values", values)

    @property
    def steepest(self) -> float:
        """Largest change of pCVR per unit of the logit, at least 1.

        Between two of its blocks an isotonic map is close to a jump, which magnifies the rounding
        errors of the network.
        """
        if not self.steps:
            return max(1.0, abs(self.slope))
        rises = self.values.sigmoid().diff() / self.points.diff()
        return float(max([1.0, *rises.tolist()]))

    def forward(self, logit: Tensor) -> Tensor:
        """``(B,)`` logits of pCVR -> ``(B,)`` calibrated logits."""
        if not self.steps:
            return self.slope * logit + self.intercept
        return _interpolated(logit.double(), self.points, self.values).to(logit.dtype)


class Served(nn.Module):
    """Encoded features to the columns that `predict` returns.

    Args:
        network: The network.
        calibration: The calibration that `predict` applies; None for none.
        ranks_only: Whether the model only ranks, so that its scores are no probabilities.
    """

    def __init__(
        self, network: FunnelNetwork, calibration: Calibration | None, *, ranks_only: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.calibration = None if calibration is None else CalibrationMap(calibration)
        self.ranks_only = ranks_only

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the columns."""
        return ("score",) if self.ranks_only else ("pctr", "pcvr", "pctcvr")

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features by name to columns by name, ``(B,)`` each."""
        prediction = self.network(features)
        pctr, pcvr, pctcvr = prediction.pctr, prediction.pcvr, prediction.pctcvr
        if self.ranks_only:
            return {"score": prediction.joint_logit[prediction.stages[-1]]}
        if self.calibration is not None:
            pcvr = torch.sigmoid(self.calibration(prediction.pcvr_logit))
            pctcvr = pctr * pcvr
        return {"pctr": pctr, "pcvr": pcvr, "pctcvr": pctcvr}


def _interpolated(x: Tensor, points: Tensor, values: Tensor) -> Tensor:
    """`np.interp`: linear between ascending points, constant outside them."""
    if len(points) == 1:
        return values.expand_as(x)
    x = x.clamp(points[0], points[-1])
    right = (x.unsqueeze(1) >= points).sum(1).clamp(1, len(points) - 1)
    low, high = points[right - 1], points[right]
    share = (x - low) / (high - low)
    return values[right - 1] + share * (values[right] - values[right - 1])
