"""Dependence of click and conversion given the features: estimate, test and correction."""

from mtl_seq.dependence.correction import Correction
from mtl_seq.dependence.likelihood import profile_likelihood
from mtl_seq.dependence.moment import dependence_moment
from mtl_seq.records import SelectionTest

__all__ = ["Correction", "SelectionTest", "dependence_moment", "profile_likelihood"]


def __dir__() -> list[str]:
    return __all__
