"""The model to start with: a recipe of this package, from its parts."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import DirectMethod, LabelImputation, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.policies import CalibrationConfig
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["targeted"]

_CALIBRATION = CalibrationConfig("shift", weighted=True, on="training", recalibrated=True)


def targeted(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    calibration: CalibrationConfig | None = _CALIBRATION,
    seed: int = 0,
) -> FunnelModel:
    """CVR imputed from all that is known, its mean set by weighted clicks after training.

    1. CTR, CVR and an imputation share embeddings and bottom. The imputation sees every feature and
       is fitted to clicks (`LabelImputation`); pCVR learns from it on every impression
       (`DirectMethod`). No weight is in training, so that nothing costs pCTR.
    2. Once training is over a constant is added to the logit of pCVR, such that its mean over the
       clicked training rows, weighted by 1 / pCTR, is that of their conversions. pCTR is detached,
       recalibrated on the training rows' clicks, and floored at its 1% quantile.

    This is the shape of targeted learning (van der Laan and Rubin, 2006). With infinite data mean
    pCVR over all impressions is right where the propensity is, whatever the imputation; or where
    pCVR is, whatever the propensity. Nothing repairs what moves click and conversion and is in no
    column.

    `FunnelEstimator` does the second step; a loop of one's own has to (docs/default.md). On a
    longer funnel the stages between have the losses of ESMM, named by stage, and the constant is
    that of the last stage given the first.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        calibration: How an estimator calibrates pCVR after training; None for not at all.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective(
        {
            **losses_before(funnel),
            "cvr": DirectMethod(),
            "imputation": LabelImputation(),
        }
    )
    model = assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
    model.calibration = calibration
    return model
