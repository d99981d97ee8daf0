"""What came of a training run."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtl_seq.fit.precision import Arithmetic

__all__ = ["CHECKPOINT_RULE", "Run"]

CHECKPOINT_RULE = (
    "the epoch with the least log loss of pCTCVR / pCTR on clicked validation rows, for every "
    "model; like any rule on clicks it leans to models that are right on clicks (a ranker, which "
    "gives no probabilities: the greatest AUC for conversions over all validation impressions)"
)
"""The one rule that picks a checkpoint."""


class Run(NamedTuple):
    """What came of a training run.

    Attributes:
        rule: The checkpoint rule's value after each epoch.
        best_epoch: The epoch whose weights were kept, from 0.
        tallies: After each epoch, every weighted risk's mean by its name; of risks that divide by
            propensities also ``<risk>/effective_size`` of their weights, ``<risk>/clipped_share``
            of the clicks, and ``<risk>/largest_share`` that one row has of all weight, NaN without
            clicks; what else a risk states of itself as ``<risk>/<figure>``; and a balance's
            weights as ``balance/<task>``.
        arithmetic: In what the network computed, and will again when it predicts.
        figures: Of the epoch kept, on validation rows, before any calibration: log loss, PCOC and
            rate of pCTR and pCTCVR over all impressions and of pCVR over clicks, such as
            ``pcvr/log_loss``; and ``pcvr/constant``, the log loss there of the training rows' rate.
        checkpoint_rule: How the epoch was picked; None in folders that do not say.
    """

    rule: tuple[float, ...]
    best_epoch: int
    tallies: tuple[dict[str, float], ...] = ()
    arithmetic: Arithmetic = Arithmetic.FLOAT32
    figures: Mapping[str, float] = {}
    checkpoint_rule: str | None = CHECKPOINT_RULE

    def beside_constants(self, rates: Mapping[str, float]) -> "Run":
        """The run with the log loss that a constant would have.

        Args:
            rates: By quantity, how often it happens among training rows, in (0, 1).
        """
        constants = {
            f"{quantity}/constant": -(y * math.log(rate) + (1 - y) * math.log1p(-rate))
            for quantity, rate in rates.items()
            if (y := self.figures.get(f"{quantity}/rate")) is not None
        }
        return self._replace(figures={**self.figures, **constants})

    def worse_than_constant(self) -> tuple[str, ...]:
        """The quantities whose validation log loss is above that of the constant."""
        return tuple(
            quantity
            for quantity in ("pctr", "pcvr", "pctcvr")
            if self.figures.get(f"{quantity}/log_loss", math.nan)
            > self.figures.get(f"{quantity}/constant", math.nan)
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON, in which NaN is null."""
        tallies = [_nullable(tally) for tally in self.tallies]
        return {
            "rule": list(self.rule),
            "best_epoch": self.best_epoch,
            "tallies": tallies,
            "arithmetic": self.arithmetic.value,
            "figures": _nullable(self.figures),
            "checkpoint_rule": self.checkpoint_rule,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Run":
        """Read what `to_dict` wrote."""
        return cls(
            tuple(content["rule"]),
            content["best_epoch"],
            tuple(_numbers(tally) for tally in content.get("tallies", ())),
            Arithmetic(content.get("arithmetic", "float32")),
            _numbers(content.get("figures", {})),
            content.get("checkpoint_rule"),
        )


def _nullable(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def _numbers(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in figures.items()}
