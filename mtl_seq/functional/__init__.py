"""Pure tensor functions, on torch only."""

from mtl_seq.functional.auc import Ranking, auc, rank, ranked_auc
from mtl_seq.functional.bias import (
    CalibrationBins,
    calibration_bins,
    expected_calibration_error,
)
from mtl_seq.functional.chain import logit_exclusive, logit_mixture, logit_product, promote
from mtl_seq.functional.debias import dr, inverse_propensity, ips, propensity_quantile
from mtl_seq.functional.dependence import (
    DependentCells,
    dependent_cells,
    logit_click,
    potential_logit,
)
from mtl_seq.functional.losses import binary_cross_entropy

__all__ = [
    "CalibrationBins",
    "DependentCells",
    "Ranking",
    "auc",
    "binary_cross_entropy",
    "calibration_bins",
    "dependent_cells",
    "dr",
    "expected_calibration_error",
    "inverse_propensity",
    "ips",
    "logit_click",
    "logit_exclusive",
    "logit_mixture",
    "logit_product",
    "potential_logit",
    "promote",
    "propensity_quantile",
    "rank",
    "ranked_auc",
]
