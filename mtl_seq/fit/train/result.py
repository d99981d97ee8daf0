"""What came of a training run."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtl_seq.fit.train.precision import Arithmetic

__all__ = ["CHECKPOINT_RULE", "TrainingResult"]

CHECKPOINT_RULE = (
    "the epoch with the least log loss of pCTCVR / pCTR on clicked validation rows, for every "
    "model; like any rule on clicks it leans to models that are right on clicks (a ranker, which "
    "gives no probabilities: the greatest AUC for conversions over all validation impressions)"
)
"""The one rule that picks a checkpoint."""


class TrainingResult(NamedTuple):
    """What came of a training run.

    Attributes:
        validation_scores: The checkpoint rule's value after each epoch.
        best_epoch: The epoch whose weights were kept, from 0.
        training_history: After each epoch, every weighted loss's mean by its name; of losses that divide by
            propensities also ``<loss>/effective_size`` of their weights, ``<loss>/clipped_share``
            of the clicks, and ``<loss>/largest_share`` that one row has of all weight, NaN without
            clicks; what else a loss states of itself as ``<loss>/<figure>``; and a balance's
            weights as ``balance/<task>``.
        arithmetic: In what the network computed, and will again when it predicts.
        validation_metrics: Of the epoch kept, on validation rows, before any calibration: log loss, PCOC and
            rate of pCTR and pCTCVR over all impressions and of pCVR over clicks, such as
            ``pcvr/log_loss``; and ``pcvr/constant``, the log loss there of the training rows' rate.
        checkpoint_rule: How the epoch was picked; None in folders that do not say.
    """

    validation_scores: tuple[float, ...]
    best_epoch: int
    training_history: tuple[dict[str, float], ...] = ()
    arithmetic: Arithmetic = Arithmetic.FLOAT32
    validation_metrics: Mapping[str, float] = {}
    checkpoint_rule: str | None = CHECKPOINT_RULE

    def beside_constants(self, rates: Mapping[str, float]) -> "TrainingResult":
        """The run with the log loss that a constant would have.

        Args:
            rates: By quantity, how often it happens among training rows, in (0, 1).
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
        tallies = [_nullable(tally) for tally in self.training_history]
        return {
            "validation_scores": list(self.validation_scores),
            "best_epoch": self.best_epoch,
            "training_history": tallies,
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
            tuple(_numbers(tally) for tally in content.get("training_history", ())),
            Arithmetic(content.get("arithmetic", "float32")),
            _numbers(content.get("validation_metrics", {})),
            content.get("checkpoint_rule"),
        )


def _nullable(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def _numbers(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in figures.items()}
