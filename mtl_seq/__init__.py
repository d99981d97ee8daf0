"""Entire-space CTR x CVR modelling: models, funnel simulation with known truth, bias reports.

>>> import mtl_seq
>>> mtl_seq.Funnel.chain("click", "conversion").last
'conversion'
"""

from mtl_seq import fusion, losses, models, nn, simulate
from mtl_seq.data import Codec
from mtl_seq.experiments.compare import compare_models
from mtl_seq.fit import FunnelEstimator
from mtl_seq.funnel import Funnel, Stage
from mtl_seq.records import FunnelBatch, FunnelLabels, FunnelPrediction, FunnelTruth
from mtl_seq.report import BiasReport
from mtl_seq.schema import FeatureSpec, Schema

__version__ = "0.1.0"

__all__ = [
    "BiasReport",
    "Codec",
    "FeatureSpec",
    "Funnel",
    "FunnelBatch",
    "FunnelEstimator",
    "FunnelLabels",
    "FunnelPrediction",
    "FunnelTruth",
    "Schema",
    "Stage",
    "compare_models",
    "fusion",
    "losses",
    "models",
    "nn",
    "simulate",
]
