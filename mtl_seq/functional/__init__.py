"""Pure functions on tensors; those that measure something take NumPy arrays as well.

The latter raise a `DataError` for NaN, columns of different lengths, and negative weights.
"""

from mtl_seq.functional.arrays import Array, as_tensor, float_rows, row_weights
from mtl_seq.functional.auc import Ranking, auc, mass_auc, rank, ranked_auc
from mtl_seq.functional.bins import LOGIT_BINS, logit_bin
from mtl_seq.functional.calibration import (
    CalibrationBins,
    calibration_bins,
    expected_calibration_error,
    expected_null_ece,
)
from mtl_seq.functional.chain import logit_exclusive, logit_mixture, logit_product, promote
from mtl_seq.functional.concordance import concordance
from mtl_seq.functional.cross_entropy import binary_cross_entropy
from mtl_seq.functional.dependent_chain import DependentChain, dependent_chain
from mtl_seq.functional.error_correlation import error_correlation
from mtl_seq.functional.field_rce import field_rce
from mtl_seq.functional.gaussian_pair import GaussianPair, gaussian_pair
from mtl_seq.functional.grouped_auc import GroupedAUC, grouped_auc
from mtl_seq.functional.ks import ks
from mtl_seq.functional.latent_dependence import (
    DependentCells,
    dependent_cells,
    logit_click,
    potential_logit,
)
from mtl_seq.functional.odds_ratio import Bounds, odds_ratio_cvr, worst_case_bounds
from mtl_seq.functional.off_click_estimates import (
    dr_auc,
    dr_log_loss,
    ips_auc,
    ips_log_loss,
    snips_log_loss,
)
from mtl_seq.functional.pointwise import (
    log_loss,
    mean_bias,
    normalised_entropy,
    pcoc,
    relative_bias,
    rmse,
)
from mtl_seq.functional.propensity_weights import (
    bias_weight,
    dr,
    inverse_propensity,
    ips,
    propensity_quantile,
    self_normalised,
    variance_weight,
)
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
from mtl_seq.functional.recalibration import Recalibrated, recalibration
from mtl_seq.functional.sensitivity import (
    SensitivityCurve,
    TippingPoint,
    mean_odds_ratio_cvr,
    sensitivity_curve,
    sensitivity_interval,
    tipping_point,
)
from mtl_seq.functional.weight_diagnostics import (
    Balanced,
    balance,
    effective_sample_size,
    largest_weight_share,
)

__all__ = [
    "LOGIT_BINS",
    "Array",
    "Balanced",
    "Bounds",
    "CalibrationBins",
    "DependentCells",
    "DependentChain",
    "GaussianPair",
    "GroupedAUC",
    "PairIndex",
    "Pairs",
    "Ranking",
    "Recalibrated",
    "SensitivityCurve",
    "TippingPoint",
    "as_tensor",
    "auc",
    "balance",
    "bias_weight",
    "binary_cross_entropy",
    "calibration_bins",
    "concordance",
    "dependent_cells",
    "dependent_chain",
    "dr",
    "dr_auc",
    "dr_log_loss",
    "draw_pairs",
    "draw_pool",
    "effective_sample_size",
    "error_correlation",
    "expected_calibration_error",
    "expected_null_ece",
    "field_rce",
    "float_rows",
    "gaussian_pair",
    "grouped_auc",
    "index_pairs",
    "inverse_propensity",
    "ips",
    "ips_auc",
    "ips_log_loss",
    "ks",
    "lambda_weights",
    "largest_weight_share",
    "log_loss",
    "logit_bin",
    "logit_click",
    "logit_exclusive",
    "logit_mixture",
    "logit_product",
    "mass_auc",
    "mean_bias",
    "mean_odds_ratio_cvr",
    "normalised_entropy",
    "odds_ratio_cvr",
    "pairs_at",
    "pcoc",
    "potential_logit",
    "promote",
    "propensity_quantile",
    "rank",
    "ranked_auc",
    "ranknet",
    "recalibration",
    "relative_bias",
    "rmse",
    "row_weights",
    "self_normalised",
    "sensitivity_curve",
    "sensitivity_interval",
    "snips_log_loss",
    "tipping_point",
    "variance_weight",
    "worst_case_bounds",
]


def __dir__() -> list[str]:
    return __all__
