"""Settings of a model for the steps around its training: dependence, calibration, schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mtl_seq.errors import CompositionError
from mtl_seq.losses import Objective

__all__ = ["CalibrationConfig", "DependenceConfig", "LevelShare", "Schedule"]

LevelShare = Literal["estimated", "uniform"] | Sequence[str]
"""Where P(level | x) comes from: a model of the log, a declaration, or columns of the log."""


@dataclass(frozen=True)
class DependenceConfig:
    """How `FunnelEstimator` estimates lambda and corrects predictions by it.

    Attributes:
        method: ``"fixed"``: lambda is `log_odds_ratio`, and the network predicts with it.
            ``"moment"``: the centred-instrument moment on cross-fitted nuisances, from the
            click-only features alone. ``"joint"``: the joint likelihood, whose evidence is also the
            form of the model, and which lags behind with embeddings of ids. ``"profile"``: the
            likelihood over lambda and a few parameters, on the nuisances' held-out logits.
        log_odds_ratio: lambda where it is fixed.
        folds: Folds of the cross-fitting, at least 2.
        level_share: P(level of the click-only features | x): ``"estimated"`` by a multinomial model
            on `policy`; ``"uniform"`` where every level is equally likely at every x (only for a
            randomised experiment); or the log's columns of it, one per level in the order of the
            levels.
        policy: Features that the policy which chose the level may have used; None for all that the
            conversion tower sees, () for none, so that the log's marginal shares are taken.
        shrink: Whether lambda is shrunk by its standard error,
            ``lambda (1 - (standard error / lambda)^2)``, and is 0 where that is negative.
        refit: Whether the towers are trained again with lambda fixed. The default corrects pCVR
            without training.

    Raises:
        CompositionError: One outside its range.
    """

    method: Literal["moment", "joint", "profile", "fixed"] = "moment"
    log_odds_ratio: float = 0.0
    folds: int = 2
    level_share: LevelShare = "estimated"
    policy: Sequence[str] | None = None
    shrink: bool = False
    refit: bool = False

    def __post_init__(self) -> None:
        known = ("moment", "joint", "profile", "fixed")
        if self.method not in known:
            raise CompositionError(f"`method` must be one of {known}, found {self.method!r}")
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


_METHODS = ("shift", "platt", "isotonic")
_ON = ("validation", "training")


@dataclass(frozen=True)
class CalibrationConfig:
    """How pCVR is calibrated on clicked rows after training.

    A map of the logit of pCVR is fitted to the conversions of clicked rows; pCTCVR becomes pCTR
    times the calibrated pCVR. Fitted to clicks as they are, the map pulls pCVR to
    P(conversion | x, click) on average and so undoes what a model that debiases was trained for:
    such a model has every clicked row weighted by its inverse propensity, and refuses the
    unweighted form.

    A model may name its calibration, ``model.calibration``; ``calibrate=`` of `FunnelEstimator`
    comes first. `calibration.fit_calibration` fits the map.

    Attributes:
        method: ``"shift"`` adds a constant to the logit; ``"platt"`` also has a slope (Platt,
            1999); ``"isotonic"`` is any non-decreasing map (Zadrozny and Elkan, 2002), linear in
            the logit between its blocks. The first two keep the order of impressions, the last may
            tie some.
        weighted: Whether clicks are weighted by 1 / propensity: that of the schema where there is
            one, else pCTR, floored at the 1% quantile of the rows. None for what the model needs:
            weighted where it debiases, else not.
        on: ``"validation"`` rows, which the model was not fitted to, or ``"training"`` rows, of
            which there are many more. A map with a slope takes overfitting to the training rows for
            skill; a shift sets the mean alone, which a few validation rows estimate poorly.
        recalibrated: Whether pCTR is itself recalibrated before clicks are weighted by it: by slope
            and intercept of a logistic regression of the same rows' clicks on its logit (Cox,
            1958). Embeddings of rare ids are shrunk, so that the slope is above 1. Propensities of
            the schema are not changed.

    Raises:
        CompositionError: Another method, or other rows.
    """

    method: Literal["shift", "platt", "isotonic"] = "shift"
    weighted: bool | None = None
    on: Literal["validation", "training"] = "validation"
    recalibrated: bool = False

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise CompositionError(f"`method` must be one of {_METHODS}, found {self.method!r}")
        if self.on not in _ON:
            raise CompositionError(f"`on` must be one of {_ON}, found {self.on!r}")

    def weighted_for(self, objective: Objective) -> bool:
        """Whether the clicks of a model with this objective are weighted.

        Raises:
            CompositionError: The plain form for a model that debiases, or any form for one that
                gives no probabilities.
        """
        if objective.ranks_only:
            raise CompositionError(
                "`calibrate` needs probabilities, but the scores of this model only rank: leave it "
                "out"
            )
        if objective.debiases and self.weighted is False:
            raise CompositionError(
                "`weighted=False` is refused for a model that debiases: fitted to clicks as they "
                "are, any calibration pulls pCVR back to what clicks alone show and undoes the "
                "model; leave `weighted` out, or set it to True"
            )
        return objective.debiases if self.weighted is None else self.weighted


@dataclass(frozen=True)
class Schedule:
    """Alternating optimisation: several optimiser steps per batch, each on some of the losses.

    A step minimises its losses only; parameters that they do not reach are left unchanged. Where
    towers share nothing, a step therefore freezes the networks that the other steps train.

    Attributes:
        steps: Names of the losses of each step; a loss may be in several.
        weight_copies: Pairs of towers ``(source, target)``: at the start of every epoch all weights
            of the source are copied to the target.

    Raises:
        CompositionError: No step, or one without a loss.
    """

    steps: Sequence[Sequence[str]]
    weight_copies: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if not self.steps or not all(self.steps):
            raise CompositionError(
                f"`steps` must hold at least one step of at least one loss, found {self.steps}"
            )

    def check(self, losses: Sequence[str], towers: Sequence[str]) -> None:
        """Check the schedule against the losses of an objective and the towers of a network.

        Raises:
            CompositionError: An unknown loss or tower, or a loss that no step trains.
        """
        named = [name for step in self.steps for name in step]
        if set(named) != set(losses):
            raise CompositionError(
                f"`steps` must name each of the objective's losses {tuple(losses)}, found {named}"
            )
        for pair in self.weight_copies:
            for tower in pair:
                if tower not in towers:
                    raise CompositionError(
                        f"`weight_copies` must name towers of the network {tuple(towers)}, found "
                        f"{tower!r}"
                    )
