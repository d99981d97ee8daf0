"""Metrics that stream, reset, and reduce over processes."""

from mtl_seq.metrics.by_propensity import BiasByPropensity, BiasCurve
from mtl_seq.metrics.calibration import ECE, NullECE, Recalibration, ReliabilityCurve
from mtl_seq.metrics.clicked_log_loss import ClickedLogLoss
from mtl_seq.metrics.error_correlation import ErrorCorrelation
from mtl_seq.metrics.field_rce import FieldRCE
from mtl_seq.metrics.funnel_metric import OnRecords
from mtl_seq.metrics.gauc import GAUC
from mtl_seq.metrics.misranked_share import MisrankedShare
from mtl_seq.metrics.off_click_estimates import DRAUC, IPSAUC, DRLogLoss, IPSLogLoss, SNIPSLogLoss
from mtl_seq.metrics.pointwise import (
    PCOC,
    RMSE,
    LogLoss,
    MeanBias,
    NormalisedEntropy,
    RelativeBias,
)
from mtl_seq.metrics.ranking import AUC, CTCVRAUC, KS
from mtl_seq.metrics.weights import CovariateBalance, EffectiveSampleSize, LargestWeightShare

__all__ = [
    "AUC",
    "CTCVRAUC",
    "DRAUC",
    "ECE",
    "GAUC",
    "IPSAUC",
    "KS",
    "PCOC",
    "RMSE",
    "BiasByPropensity",
    "BiasCurve",
    "ClickedLogLoss",
    "CovariateBalance",
    "DRLogLoss",
    "EffectiveSampleSize",
    "ErrorCorrelation",
    "FieldRCE",
    "IPSLogLoss",
    "LargestWeightShare",
    "LogLoss",
    "MeanBias",
    "MisrankedShare",
    "NormalisedEntropy",
    "NullECE",
    "OnRecords",
    "Recalibration",
    "RelativeBias",
    "ReliabilityCurve",
    "SNIPSLogLoss",
]


def __dir__() -> list[str]:
    return __all__
