"""Wrapper that updates a metric from a network's prediction and labels."""

import inspect
from typing import Any, Literal

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.wrappers.abstract import WrapperMetric

from mtl_seq.errors import DataError
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["OnRecords"]

Quantity = Literal["pctr", "pcvr", "pctcvr"]


class OnRecords(WrapperMetric):
    """A metric whose ``update`` takes a `FunnelPrediction` and `FunnelLabels`.

    It selects the columns that the metric's ``update`` names:

    * ``prediction``: the quantity, its probability in float64.
    * ``target``: clicks for pCTR, conversions for pCTCVR and for pCVR on clicks. pCVR on other
      rows has no label in a log: there it is ``labels.potential``, of simulations only.
    * ``click``, ``conversion``, ``weight``, ``group`` and ``propensity`` of the labels; without
      such a propensity, the prediction's pCTR.
    * ``pctr`` and ``pcvr`` of the prediction.

    Args:
        metric: The metric to update.
        quantity: ``"pctr"``, ``"pcvr"`` or ``"pctcvr"``.

    Example:
        ``OnRecords(AUC(space="clicks"), "pcvr").update(model(features), labels)``
    """

    def __init__(self, metric: Metric, quantity: Quantity = "pcvr") -> None:
        super().__init__()
        if quantity not in ("pctr", "pcvr", "pctcvr"):
            raise DataError(f"`quantity` must be 'pctr', 'pcvr' or 'pctcvr', found {quantity!r}")
        self.metric = metric
        self.quantity = quantity
        names = set(inspect.signature(type(metric).update).parameters) - {"self"}
        known = {"prediction", "target", "click", "conversion", "weight", "group", "propensity"}
        unknown = names - known - {"pctr", "pcvr"}
        if unknown:
            raise DataError(
                f"`metric` must take columns of the records, {type(metric).__name__} takes "
                f"{sorted(unknown)}: update it with tensors"
            )
        self._names = names

    def update(self, prediction: FunnelPrediction, labels: FunnelLabels) -> None:
        """Add a batch.

        Raises:
            DataError: The metric needs potential conversions, or a group, which the labels lack.
        """
        self.metric.update(**self._columns(prediction, labels))

    def _columns(
        self, prediction: FunnelPrediction, labels: FunnelLabels
    ) -> dict[str, Tensor | None]:
        return {name: self._column(name, prediction, labels) for name in self._names}

    def _column(
        self, name: str, prediction: FunnelPrediction, labels: FunnelLabels
    ) -> Tensor | None:
        match name:
            case "prediction":
                return _probability(prediction, self.quantity)
            case "pctr" | "pcvr":
                return _probability(prediction, name)
            case "target":
                return self._target(labels)
            case "click" | "conversion" | "weight":
                column: Tensor | None = getattr(labels, name)
                return column
            case "propensity":
                logged = labels.propensity
                return _probability(prediction, "pctr") if logged is None else logged
            case _:
                if labels.group is None:
                    raise DataError("`labels.group` must hold the users' ids, found None")
                return labels.group

    def _target(self, labels: FunnelLabels) -> Tensor:
        if self.quantity == "pctr":
            return labels.click
        if self.quantity == "pctcvr" or getattr(self.metric, "space", "all") == "clicks":
            return labels.conversion
        if labels.potential is None:
            raise DataError(
                "`labels.potential` must hold the potential conversions where pCVR is measured off "
                "the clicks: a log has none, measure on space='clicks' or pctcvr"
            )
        return labels.potential

    def compute(self) -> Any:
        """What the metric computes."""
        return self.metric.compute()

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Any:
        """Add a batch and return the metric's value on it alone."""
        return self.metric(**self._columns(prediction, labels))

    def reset(self) -> None:
        """Forget every batch."""
        super().reset()
        self.metric.reset()

    @property
    def reason(self) -> str | None:
        """Why the last `compute` gave NaN, or None where it did not."""
        reason: str | None = getattr(self.metric, "reason", None)
        return reason


def _probability(prediction: FunnelPrediction, quantity: str) -> Tensor:
    if quantity == "pcvr":
        return prediction.log_pcvr.detach().double().exp()
    stage = prediction.stages[0 if quantity == "pctr" else -1]
    return prediction.log_joint[stage].detach().double().exp()
