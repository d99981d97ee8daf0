"""The model to start with: a recipe of this package, from its parts."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.calibration import CalibrationPolicy
from mtl_seq.models.joints import risks_before
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import DoublyRobust, LabelImputation, Objective, PropensityPolicy
from mtl_seq.schema import FeatureSpec

__all__ = ["default"]

_PROPENSITY = PropensityPolicy(self_normalise=True)
_CALIBRATION = CalibrationPolicy("shift", weighted=True, on="training")


def default(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    calibration: CalibrationPolicy | None = _CALIBRATION,
    seed: int,
) -> FunnelModel:
    """Doubly robust CVR on a shared network, its mean set by weighted clicks after training.

    CTR, CVR and an imputation share embeddings and bottom, as in `multi_dr`. The imputation is
    fitted to the labels of clicks (`LabelImputation`), weights are self-normalised and those below
    the 1% quantile of the propensities are cut. No CTCVR risk: what it teaches pCVR where a tower
    lacks a feature is wrong. Once training is over a constant is added to the logit of pCVR, such
    that its mean over the clicked training rows, weighted by inverse propensities, is that of their
    conversions: `FunnelEstimator` does it, a loop of one's own has to (docs/default.md).

    On a longer funnel the stages between have the risks of ESMM, named by stage, and the shift is
    that of the last stage given the first.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        propensity: Where propensities come from, how small they may be and how weights are scaled;
            None for pCTR, its 1% quantile and self-normalised weights.
        calibration: How an estimator calibrates pCVR after training; None for not at all.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective(
        {
            **risks_before(funnel),
            "cvr": DoublyRobust(propensity or _PROPENSITY),
            "imputation": LabelImputation(),
        }
    )
    model = assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
    model.calibration = calibration
    return model
