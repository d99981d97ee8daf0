"""Propensities from elsewhere than the forward pass that is being trained; `fit` supplies them."""

from dataclasses import dataclass

from mtl_seq.errors import CompositionError

__all__ = ["CrossFit", "EvalMode", "MovingAverage", "PropensitySource"]


@dataclass(frozen=True)
class EvalMode:
    """The network's own pCTR with dropout switched off, from a second forward pass.

    In training mode a network with dropout gives every step another propensity of the same row.
    """


@dataclass(frozen=True)
class MovingAverage:
    """pCTR of a copy of the network whose weights are a moving average, with dropout switched off.

    Attributes:
        decay: What remains of the average after a step, in [0, 1). The average starts as the plain
            mean over the first ``1 / (1 - decay)`` steps, so that the first weights do not linger.

    Raises:
        CompositionError: A decay outside [0, 1).
    """

    decay: float = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise CompositionError(f"`decay` must lie in [0, 1), found {self.decay}")


@dataclass(frozen=True)
class CrossFit:
    """Each row's pCTR from a click model of the same kind that saw no row of its user.

    Users are parted into folds; for each fold a network of the model's kind is trained on the
    clicks of the others before the model itself. Ids that those others never showed, the user's own
    above all, are unseen to it, so what only such an id tells of the click is lost.

    Attributes:
        folds: How many, at least 2.

    Raises:
        CompositionError: Fewer than 2 folds.
    """

    folds: int = 3

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise CompositionError(f"`folds` must be at least 2, found {self.folds}")


PropensitySource = EvalMode | MovingAverage | CrossFit
"""Where a policy has `fit` take propensities from."""
