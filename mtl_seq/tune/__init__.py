"""Hyper-parameter search by the log loss of pCVR over all impressions."""

from mtl_seq.tune.objective import Estimate, Reference, entire_space_loss
from mtl_seq.tune.result import TRAINING, Tuned
from mtl_seq.tune.search import tune

__all__ = ["TRAINING", "Estimate", "Reference", "Tuned", "entire_space_loss", "tune"]


def __dir__() -> list[str]:
    return __all__
