"""Training metrics of an epoch: mean losses, and diagnostics of their propensity weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mtl_seq.losses import Objective, PropensityLoss, PropensityPolicy, WeightReport
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["TrainingMetrics"]


Weights = tuple[PropensityPolicy, bool]
"""A policy, and whether it weights clicks or non-clicks."""


class TrainingMetrics:
    """Sums over the batches of an epoch; they stay on their device until `compute`."""

    def __init__(self) -> None:
        self._rows = 0
        self._losses: dict[str, Tensor] = {}
        self._weights: dict[str, Weights] = {}
        self._reports: dict[Weights, WeightReport] = {}

    def update(
        self,
        objective: Objective,
        losses: Mapping[str, Tensor],
        prediction: FunnelPrediction,
        labels: FunnelLabels,
    ) -> None:
        """Add a batch.

        Args:
            objective: The objective that is minimised.
            losses: Its weighted losses on the batch.
            prediction: Of the batch.
            labels: Of the batch.
        """
        rows = len(labels.stages)
        self._rows += rows
        for name, loss in losses.items():
            total = rows * loss.detach()
            self._losses[name] = self._losses[name] + total if name in self._losses else total
        self._weights = _weights(objective)
        # Losses of one policy have the same weights.
        for policy, clicked in set(self._weights.values()):
            report = policy.report(prediction, labels, clicked=clicked)
            before = self._reports.get((policy, clicked))
            self._reports[policy, clicked] = report if before is None else before.merge(report)

    def compute(self) -> dict[str, float]:
        """Each loss's mean by its name; ``<loss>/effective_size`` and so on of its weights.

        Of a loss that also weights non-clicks: ``<loss>/non-clicks/effective_size``.
        """
        metrics = {name: float(loss) / self._rows for name, loss in self._losses.items()}
        for name, weights in self._weights.items():
            for diagnostic, value in self._reports[weights].figures().items():
                metrics[f"{name}/{diagnostic}"] = value
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint in the middle of an epoch."""
        reports = {name: tuple(self._reports[at]) for name, at in self._weights.items()}
        return {"rows": self._rows, "losses": dict(self._losses), "reports": reports}

    def load_state_dict(self, state: Mapping[str, Any], objective: Objective) -> None:
        """Read what `state_dict` wrote."""
        self._rows, self._losses = state["rows"], dict(state["losses"])
        self._weights = _weights(objective)
        for name, sums in state["reports"].items():
            self._reports[self._weights[name]] = WeightReport(*sums)


def _weights(objective: Objective) -> dict[str, Weights]:
    """By name, the policies of an objective's losses, and whether they weight clicks."""
    weights: dict[str, Weights] = {}
    for name, loss in objective.losses.items():
        if isinstance(loss, PropensityLoss):
            weights[name] = (loss.propensity, True)
            if loss.weighs_unclicked:
                weights[f"{name}/non-clicks"] = (loss.propensity, False)
    return weights
