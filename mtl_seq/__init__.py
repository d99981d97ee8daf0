"""Entire-space CTR x CVR modelling: models, funnel simulation with known truth, bias reports.

>>> import mtl_seq
>>> mtl_seq.Funnel.chain("click", "conversion").last
'conversion'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_seq import (
        calibration,
        data,
        dependence,
        errors,
        experiments,
        export,
        fit,
        functional,
        fusion,
        losses,
        metrics,
        models,
        nn,
        report,
        simulate,
        testing,
        tune,
    )
    from mtl_seq.data import Codec
    from mtl_seq.experiments import compare_models
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
    "calibration",
    "compare_models",
    "data",
    "dependence",
    "errors",
    "experiments",
    "export",
    "fit",
    "functional",
    "fusion",
    "losses",
    "metrics",
    "models",
    "nn",
    "report",
    "simulate",
    "testing",
    "tune",
]

_HOME = {
    "BiasReport": "report",
    "Codec": "data",
    "FeatureSpec": "schema",
    "Funnel": "funnel",
    "FunnelBatch": "records",
    "FunnelEstimator": "fit",
    "FunnelLabels": "records",
    "FunnelPrediction": "records",
    "FunnelTruth": "records",
    "Schema": "schema",
    "Stage": "funnel",
    "compare_models": "experiments",
}


def __getattr__(name: str) -> Any:
    """Import a package, or the package that a class lives in, when it is first used."""
    if name in _HOME:
        value = getattr(import_module(f"mtl_seq.{_HOME[name]}"), name)
    elif name in __all__:
        value = import_module(f"mtl_seq.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
