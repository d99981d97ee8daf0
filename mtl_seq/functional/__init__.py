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
from mtl_seq.functional.ranking import (
    PairIndex,
    Pairs,
    draw_pairs,
    draw_pool,
    index_pairs,
    lambda_weights,
    pairs_at,
    ranknet,
)

__all__ = [
    "CalibrationBins",
    "PairIndex",
    "Pairs",
    "Ranking",
    "auc",
    "bias_weight",
    "binary_cross_entropy",
    "calibration_bins",
    "dr",
    "draw_pairs",
    "draw_pool",
    "expected_calibration_error",
    "index_pairs",
    "inverse_propensity",
    "ips",
    "lambda_weights",
    "logit_exclusive",
    "logit_mixture",
    "logit_product",
    "pairs_at",
    "promote",
    "propensity_quantile",
    "rank",
    "ranked_auc",
    "ranknet",
    "self_normalised",
    "variance_weight",
]
