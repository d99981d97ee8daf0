"""The dependence of click and conversion that features do not explain: estimate and correction."""

from mtl_seq.dependence.correction import Correction
from mtl_seq.dependence.moment import dependence_moment

__all__ = ["Correction", "dependence_moment"]


def __dir__() -> list[str]:
    return __all__
