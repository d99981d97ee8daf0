"""Experiments with simulated data: simulate, fit and report in one call."""

from mtl_seq.experiments.compare import ALL, BUILDERS, MODELS, compare_models
from mtl_seq.experiments.estimators import study_estimators

__all__ = ["ALL", "BUILDERS", "MODELS", "compare_models", "study_estimators"]


def __dir__() -> list[str]:
    return __all__
