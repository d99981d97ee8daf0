"""What an epoch of training had: mean risks, and how far their weights are to be trusted."""

from collections.abc import Mapping

from torch import Tensor

from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.risks import Objective, PropensityPolicy, PropensityRisk, WeightReport

__all__ = ["Tally"]


class Tally:
    """Sums over the batches of an epoch; they stay on their device until `figures` is asked for."""

    def __init__(self) -> None:
        self._rows = 0
        self._losses: dict[str, Tensor] = {}
        self._policies: dict[str, PropensityPolicy] = {}
        self._reports: dict[PropensityPolicy, WeightReport] = {}

    def add(
        self,
        objective: Objective,
        losses: Mapping[str, Tensor],
        prediction: FunnelPrediction,
        labels: FunnelLabels,
    ) -> None:
        """Add a batch.

        Args:
            objective: What is trained on.
            losses: Its weighted risks on the batch.
            prediction: Of the batch.
            labels: Of the batch.
        """
        rows = len(labels.stages)
        self._rows += rows
        for name, loss in losses.items():
            total = rows * loss.detach()
            self._losses[name] = self._losses[name] + total if name in self._losses else total
        self._policies = {
            name: risk.propensity
            for name, risk in objective.risks.items()
            if isinstance(risk, PropensityRisk)
        }
        # Risks of one policy have the same weights.
        for policy in set(self._policies.values()):
            report = policy.report(prediction, labels)
            before = self._reports.get(policy)
            self._reports[policy] = report if before is None else before.merge(report)

    def figures(self) -> dict[str, float]:
        """Each risk's mean by its name; ``<risk>/effective_size`` and the like of its weights."""
        found = {name: float(loss) / self._rows for name, loss in self._losses.items()}
        for name, policy in self._policies.items():
            for figure, value in self._reports[policy].figures().items():
                found[f"{name}/{figure}"] = value
        return found
