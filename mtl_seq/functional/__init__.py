"""Pure tensor functions, on torch only."""

from mtl_seq.functional.auc import Ranking, auc, rank, ranked_auc
from mtl_seq.functional.bias import (
    CalibrationBins,
    calibration_bins,
    expected_calibration_error,
)
from mtl_seq.functional.chain import logit_exclusive, logit_mixture, logit_product, promote
from mtl_seq.functional.debias import (
    bias_weight,
    dr,
    inverse_propensity,
    ips,
    propensity_quantile,
    self_normalised,
    variance_weight,
)
from mtl_seq.functional.losses import binary_cross_entropy

__all__ = [
    "CalibrationBins",
    "Ranking",
    "auc",
    "bias_weight",
    "binary_cross_entropy",
    "calibration_bins",
    "dr",
    "expected_calibration_error",
    "inverse_propensity",
    "ips",
    "logit_exclusive",
    "logit_mixture",
    "logit_product",
    "promote",
    "propensity_quantile",
    "rank",
    "ranked_auc",
    "self_normalised",
    "variance_weight",
]
