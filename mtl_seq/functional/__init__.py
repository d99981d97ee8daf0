"""Pure tensor functions, on torch only."""

from mtl_seq.functional.auc import Ranking, auc, rank, ranked_auc
from mtl_seq.functional.bias import (
    CalibrationBins,
    calibration_bins,
    expected_calibration_error,
)
from mtl_seq.functional.chain import logit_exclusive, logit_mixture, logit_product, promote
from mtl_seq.functional.debias import dr, inverse_propensity, ips, propensity_quantile
from mtl_seq.functional.losses import binary_cross_entropy
from mtl_seq.functional.odds_ratio import Bounds, odds_ratio_cvr, worst_case_bounds
from mtl_seq.functional.sensitivity import (
    SensitivityCurve,
    TippingPoint,
    mean_odds_ratio_cvr,
    sensitivity_curve,
    sensitivity_interval,
    tipping_point,
)

__all__ = [
    "Bounds",
    "CalibrationBins",
    "Ranking",
    "SensitivityCurve",
    "TippingPoint",
    "auc",
    "binary_cross_entropy",
    "calibration_bins",
    "dr",
    "expected_calibration_error",
    "inverse_propensity",
    "ips",
    "logit_exclusive",
    "logit_mixture",
    "logit_product",
    "mean_odds_ratio_cvr",
    "odds_ratio_cvr",
    "promote",
    "propensity_quantile",
    "rank",
    "ranked_auc",
    "sensitivity_curve",
    "sensitivity_interval",
    "tipping_point",
    "worst_case_bounds",
]
