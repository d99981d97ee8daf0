"""Risks: prediction and labels to row terms, one risk a file."""

from mtl_seq.risks.base import Risk
from mtl_seq.risks.calibrator import Calibrator
from mtl_seq.risks.click_space import ClickSpace
from mtl_seq.risks.dr import DoublyRobust, Imputation, imputed_error
from mtl_seq.risks.entire_space import EntireSpace
from mtl_seq.risks.ips import IPS
from mtl_seq.risks.objective import Objective
from mtl_seq.risks.path import PathLoss
from mtl_seq.risks.potential import PotentialOutcome
from mtl_seq.risks.propensity import PropensityPolicy

__all__ = [
    "IPS",
    "Calibrator",
    "ClickSpace",
    "DoublyRobust",
    "EntireSpace",
    "Imputation",
    "Objective",
    "PathLoss",
    "PotentialOutcome",
    "PropensityPolicy",
    "Risk",
    "imputed_error",
]
