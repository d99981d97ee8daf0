"""What is exported: a network, and behind it the map that calibrates pCVR."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtl_seq.calibration import Calibration
from mtl_seq.errors import ArtifactError
from mtl_seq.nn import FunnelNetwork

__all__ = ["CalibrationMap", "Served"]


class CalibrationMap(nn.Module):
    """A `Calibration` on logits, as tensors.

    Args:
        calibration: The fitted map.

    Raises:
        ArtifactError: A kind of map that has no such form.
    """

    points: Tensor
    values: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        if calibration.method not in ("shift", "platt", "isotonic"):
            raise ArtifactError(
                f"a calibration by {calibration.method!r} has no form to be exported in: fit the "
                "model with another `calibrate`, or predict from the folder that `save` wrote"
            )
        self.slope, self.intercept = calibration.slope, calibration.intercept
        self.steps = calibration.method == "isotonic"
        values = torch.tensor(calibration.values, dtype=torch.float64).logit()
        self.register_buffer("points", torch.tensor(calibration.points, dtype=torch.float64))
        self.register_buffer("values", values)

    @property
    def steepest(self) -> float:
        """By how much it changes pCVR at most, for a change of 1 in the logit; at least 1.

        An isotonic map is nearly a jump between two of its blocks: there it magnifies the rounding
        errors of whoever evaluates the network.
        """
        if not self.steps:
            return max(1.0, abs(self.slope))
        rises = self.values.sigmoid().diff() / self.points.diff()
        return float(max([1.0, *rises.tolist()]))

    def forward(self, logit: Tensor) -> Tensor:
        """``(B,)`` logits of pCVR -> ``(B,)`` calibrated ones."""
        if not self.steps:
            return self.slope * logit + self.intercept
        return _interpolated(logit.double(), self.points, self.values).to(logit.dtype)


class Served(nn.Module):
    """Features to the columns that `predict` gives; nothing more stands between the two.

    Args:
        network: The network.
        calibration: What `predict` puts behind it; None for nothing.
        ranks_only: Whether the model's scores are no probabilities.
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
        """Names of the columns."""
        return ("score",) if self.ranks_only else ("pctr", "pcvr", "pctcvr")

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features by name to columns by name, ``(B,)`` each."""
        said = self.network(features)
        if self.ranks_only:
            return {"score": said.joint_logit[said.stages[-1]]}
        if self.calibration is None:
            return {"pctr": said.pctr, "pcvr": said.pcvr, "pctcvr": said.pctcvr}
        pcvr = torch.sigmoid(self.calibration(said.pcvr_logit))
        return {"pctr": said.pctr, "pcvr": pcvr, "pctcvr": said.pctr * pcvr}


def _interpolated(x: Tensor, points: Tensor, values: Tensor) -> Tensor:
    """`np.interp`: linear between ascending points, constant beyond them."""
    if len(points) == 1:
        return values.expand_as(x)
    x = x.clamp(points[0], points[-1])
    right = (x.unsqueeze(1) >= points).sum(1).clamp(1, len(points) - 1)
    low, high = points[right - 1], points[right]
    share = (x - low) / (high - low)
    return values[right - 1] + share * (values[right] - values[right - 1])
