"""What came of a training run."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtl_seq.fit.precision import Arithmetic

__all__ = ["Run"]


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
    """

    rule: tuple[float, ...]
    best_epoch: int
    tallies: tuple[dict[str, float], ...] = ()
    arithmetic: Arithmetic = Arithmetic.FLOAT32

    def to_dict(self) -> dict[str, Any]:
        """As JSON, in which NaN is null."""
        tallies = [
            {name: None if math.isnan(value) else value for name, value in tally.items()}
            for tally in self.tallies
        ]
        return {
            "rule": list(self.rule),
            "best_epoch": self.best_epoch,
            "tallies": tallies,
            "arithmetic": self.arithmetic.value,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Run":
        """Read what `to_dict` wrote."""
        tallies = (
            {name: math.nan if value is None else value for name, value in tally.items()}
            for tally in content.get("tallies", ())
        )
        arithmetic = Arithmetic(content.get("arithmetic", "float32"))
        return cls(tuple(content["rule"]), content["best_epoch"], tuple(tallies), arithmetic)
