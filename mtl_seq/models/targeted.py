"""Targeted direct method: label imputation, then propensity-weighted targeting of the mean."""

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
    """Label imputation, the direct method, and propensity-weighted targeting of the mean.

    1. CTR, CVR and an imputation share embeddings and bottom. The imputation sees every feature and
       is fitted to clicks (`LabelImputation`); pCVR is fitted to the imputed label of every
       impression (`DirectMethod`). Training uses no weights, so that pCTR does not suffer.
    2. After training a constant is added to the logit of pCVR, such that its mean over the clicked
       training rows, weighted by 1 / pCTR, equals that of their conversions. pCTR is detached,
       recalibrated on the training rows' clicks, and floored at its 1% quantile.

    With infinite data mean pCVR over all impressions is right where the propensity is, whatever the
    imputation; or where pCVR is, whatever the propensity. Neither step corrects a hidden
    confounder.

    The composition is this package's; its parts are published. Step 2 is the fluctuation of
    targeted maximum likelihood (van der Laan and Rubin, 2006) with an intercept and
    inverse-propensity weights. Unlike there, the initial fit is a network's and the result is a
    prediction for every impression, without cross-fitting or influence-function intervals. Unlike
    in doubly robust joint learning (`dr_jl`, `mrdr`) and TDR-CL (Li et al., ICLR 2023),
    propensities enter after training only.

    `FunnelEstimator` does the second step, as `calibration` says, None for not at all; a
    user-defined training loop has to (docs/targeted.md). On a longer funnel the constant is that of
    the last stage given the first.
    """
    objective = Objective(
        {**losses_before(funnel), "cvr": DirectMethod(), "imputation": LabelImputation()}
    )
    model = assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
    model.calibration = calibration
    return model
