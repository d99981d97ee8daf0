"""How the dependence of click and conversion is found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mtl_seq.errors import CompositionError

__all__ = ["Dependence", "LevelShare"]

LevelShare = Literal["estimated", "uniform"] | Sequence[str]
"""Where P(level | x) comes from: a model of the log, a declaration, or columns of the log."""


@dataclass(frozen=True)
class Dependence:
    """How `FunnelEstimator` finds lambda, and what it makes of it.

    Attributes:
        find: ``"held"``, not at all: lambda stays at `lam`, and the network predicts with it.
            ``"moment"``, the centred-instrument moment on cross-fitted nuisances, from the
            click-only features alone; ``"joint"``, the joint likelihood, which also learns from the
            form of the model and lags behind with embeddings of ids; ``"profile"``, the likelihood
            over lambda and a few numbers on the nuisances' held-out logits.
        lam: Where lambda is held, if it is.
        folds: Folds of the cross-fitting, at least 2.
        level_share: P(level of the click-only features | x): ``"estimated"`` by a multinomial model
            on `policy`, ``"uniform"`` where every level is as likely whatever x is (declare it only
            of a randomised experiment), or the log's columns of it, one per level in the order of
            the levels.
        policy: Features that the policy which chose the level may have used; None for all that the
            conversion tower sees, () for none, so that the log's own shares are taken.
        shrink: Whether lambda is pulled to 0 by its own uncertainty,
            ``lambda (1 - (standard error / lambda)^2)``, and is 0 where that is negative.
        refit: Whether the towers are trained again with lambda held. The default corrects pCVR
            without training.

    Raises:
        CompositionError: One outside its range.
    """

    find: Literal["moment", "joint", "profile", "held"] = "moment"
    lam: float = 0.0
    folds: int = 2
    level_share: LevelShare = "estimated"
    policy: Sequence[str] | None = None
    shrink: bool = False
    refit: bool = False

    def __post_init__(self) -> None:
        known = ("moment", "joint", "profile", "held")
        if self.find not in known:
            raise CompositionError(f"`find` must be one of {known}, found {self.find!r}")
        if self.folds < 2:
            raise CompositionError(f"`folds` must be at least 2, found {self.folds}")
        share = self.level_share
        if isinstance(share, str) and share not in ("estimated", "uniform"):
            raise CompositionError(
                "`level_share` must be 'estimated', 'uniform' or a list of columns, found "
                f"{share!r}: what chose the level is never assumed"
            )
        for name in ("level_share", "policy"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, tuple(value))
        if isinstance(self.policy, str):
            raise CompositionError(f"`policy` must be a list of features, found {self.policy!r}")
