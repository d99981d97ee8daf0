"""Training result, and the rules that pick its epoch."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtl_seq.fit.train.precision import Arithmetic

__all__ = ["CHECKPOINT_RULE", "RANKING_RULE", "TrainingResult"]

CHECKPOINT_RULE = "least log loss of pCVR on clicked validation rows"
"""How the kept epoch is picked, for every model of probabilities; docs/training.md says why."""

RANKING_RULE = "greatest AUC of conversions over all validation impressions"
"""How it is picked for a ranker, which gives no probabilities."""


class TrainingResult(NamedTuple):
    """Training result.

    Attributes:
        validation_scores: The checkpoint rule's value after each epoch.
        best_epoch: The epoch whose weights were kept, from 0.
        training_history: After each epoch, every weighted loss's mean by its name; of losses that
            divide by propensities also ``<loss>/effective_size`` of their weights,
            ``<loss>/clipped_share`` of the clicks, and ``<loss>/largest_share`` of all weight in
            one row, NaN without clicks; a loss's further metrics as ``<loss>/<metric>``; and a
            balance's weights as ``balance/<task>``.
        arithmetic: In what the network computed, and computes when it predicts.
        validation_metrics: Of the epoch kept, on validation rows, before any calibration: log loss,
            PCOC and rate of pCTR and pCTCVR over all impressions and of pCVR over clicks, such as
            ``pcvr/log_loss``; and ``pcvr/constant``, the log loss there of the training rows' rate.
        checkpoint_rule: How the epoch was picked.
    """

    validation_scores: tuple[float, ...]
    best_epoch: int
    training_history: tuple[dict[str, float], ...] = ()
    arithmetic: Arithmetic = Arithmetic.FLOAT32
    validation_metrics: Mapping[str, float] = {}
    checkpoint_rule: str = CHECKPOINT_RULE

    def with_constants(self, rates: Mapping[str, float]) -> "TrainingResult":
        """The result with the validation log loss of constant predictions.

        Args:
            rates: By quantity, its rate among training rows, in (0, 1).
        """
        constants = {
            f"{quantity}/constant": -(y * math.log(rate) + (1 - y) * math.log1p(-rate))
            for quantity, rate in rates.items()
            if (y := self.validation_metrics.get(f"{quantity}/rate")) is not None
        }
        return self._replace(validation_metrics={**self.validation_metrics, **constants})

    def worse_than_constant(self) -> tuple[str, ...]:
        """The quantities whose validation log loss is above that of the constant."""
        return tuple(
            quantity
            for quantity in ("pctr", "pcvr", "pctcvr")
            if self.validation_metrics.get(f"{quantity}/log_loss", math.nan)
            > self.validation_metrics.get(f"{quantity}/constant", math.nan)
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON, in which NaN is null."""
        return {
            "validation_scores": list(self.validation_scores),
            "best_epoch": self.best_epoch,
            "training_history": [_nullable(metrics) for metrics in self.training_history],
            "arithmetic": self.arithmetic.value,
            "validation_metrics": _nullable(self.validation_metrics),
            "checkpoint_rule": self.checkpoint_rule,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TrainingResult":
        """Read what `to_dict` wrote."""
        return cls(
            tuple(content["validation_scores"]),
            content["best_epoch"],
            tuple(_numbers(metrics) for metrics in content["training_history"]),
            Arithmetic(content["arithmetic"]),
            _numbers(content["validation_metrics"]),
            content["checkpoint_rule"],
        )


def _nullable(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}


def _numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}
