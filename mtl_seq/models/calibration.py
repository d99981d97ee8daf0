"""How an estimator calibrates pCVR once a model's training is over."""

from dataclasses import dataclass
from typing import Literal

from mtl_seq.errors import CompositionError
from mtl_seq.risks import Objective

__all__ = ["CalibrationPolicy"]

_METHODS = ("shift", "platt", "isotonic")
_ON = ("validation", "training")


@dataclass(frozen=True)
class CalibrationPolicy:
    """By which map, in which weights, on which clicked rows pCVR is calibrated after training.

    A model that needs it names it as ``model.calibration``, and `FunnelEstimator` keeps to it
    unless it is given one of its own. What fits the map is `fit.Calibrate`, which is this and more.

    Attributes:
        method: ``"shift"`` adds a constant to the logit; ``"platt"`` also has a slope (Platt,
            1999); ``"isotonic"`` is any non-decreasing map (Zadrozny and Elkan, 2002), linear in
            the logit between its blocks. The first two keep the order of impressions, the last may
            tie some.
        weighted: Whether clicks are weighted by 1 / propensity: that of the schema where there is
            one, else pCTR, floored at the 1% quantile of the rows. None for what the model needs:
            weighted where it debiases, else not.
        on: ``"validation"`` rows, which the model was not fitted to, or ``"training"`` rows, of
            which there are many more. A map with a slope takes what a model remembers of its
            training rows for skill; a shift sets the mean alone, which few rows tell badly.
        recalibrated: Whether pCTR is itself set right before clicks are weighted by it: by slope
            and intercept of a logistic regression of the same rows' clicks on its logit (Cox,
            1958). Embeddings of ids that were seen a few times fall short of what their ids tell,
            and the slope is above 1. Propensities of the schema are left as they are.

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

    def check(self, objective: Objective) -> bool:
        """Whether a model's clicks are to be weighted.

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
