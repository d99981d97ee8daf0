"""Sources of propensities other than the forward pass in training; `fit` supplies them."""

from dataclasses import dataclass

from mtl_seq.errors import CompositionError

__all__ = ["CrossFit", "EvalMode", "MovingAverage", "PropensitySource"]


@dataclass(frozen=True)
class EvalMode:
    """The network's pCTR without dropout, from a second forward pass.

    With dropout a row has another propensity in every step.
    """


@dataclass(frozen=True)
class MovingAverage:
    """pCTR, without dropout, of a copy of the network whose weights are a moving average.

    Attributes:
        decay: Decay of the average per step, in [0, 1). The average starts as the plain mean over
            the first ``1 / (1 - decay)`` steps, so that the initial weights lose their influence.

    Raises:
        CompositionError: A decay outside [0, 1).
    """

    decay: float = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise CompositionError(f"`decay` must lie in [0, 1), found {self.decay}")


@dataclass(frozen=True)
class CrossFit:
    """pCTR of every row from a click model of the same kind that was not fitted to its user.

    Users are split into folds; for each fold a network of the model's kind is trained on the clicks
    of the other folds, before the model itself. Ids that the other folds lack, above all the user's
    id, are unseen to it, so that their information about the click is lost.

    Attributes:
        folds: Number of folds, at least 2.

    Raises:
        CompositionError: Fewer than 2 folds.
    """

    folds: int = 3

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise CompositionError(f"`folds` must be at least 2, found {self.folds}")


PropensitySource = EvalMode | MovingAverage | CrossFit
"""Source of the propensities of a policy."""
