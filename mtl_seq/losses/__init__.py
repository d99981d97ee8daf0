"""Losses: prediction and labels to row terms, one loss per file."""

from mtl_seq.losses.aman import AMAN
from mtl_seq.losses.base import Loss
from mtl_seq.losses.chorus import ClickUnconverted, SoftAlignment, UnconvertedIPS
from mtl_seq.losses.click_space import ClickSpace
from mtl_seq.losses.dcmt import DCMT
from mtl_seq.losses.ddpo import DDPO, ConversionPropensity
from mtl_seq.losses.dependence import DependentLikelihood
from mtl_seq.losses.direct import DirectMethod
from mtl_seq.losses.dr import DoublyRobust
from mtl_seq.losses.dr_bias import DRBiasImputation
from mtl_seq.losses.dr_mse import DRMSEImputation
from mtl_seq.losses.entire_space import EntireSpace
from mtl_seq.losses.gaussian import GaussianLikelihood
from mtl_seq.losses.imputation import Imputation, WeightedImputation, imputed_error
from mtl_seq.losses.ips import IPS
from mtl_seq.losses.label_imputation import LabelImputation
from mtl_seq.losses.lambdarank import LambdaRank
from mtl_seq.losses.monotonicity_penalty import MonotonicityPenalty
from mtl_seq.losses.mrdr import MRDRImputation
from mtl_seq.losses.nise import NISE
from mtl_seq.losses.objective import Objective
from mtl_seq.losses.oversampling import Oversampling
from mtl_seq.losses.pair_sampling import Comparisons, DrawnPairs, WholeLists
from mtl_seq.losses.path_likelihood import PathLoss
from mtl_seq.losses.potential import PotentialOutcome
from mtl_seq.losses.propensity import PropensityLoss, PropensityPolicy
from mtl_seq.losses.propensity_sources import CrossFit, EvalMode, MovingAverage
from mtl_seq.losses.ranking import RankingLoss
from mtl_seq.losses.ranknet import RankNet
from mtl_seq.losses.reweighted import ReweightedClick, Scale
from mtl_seq.losses.unbias import Unbias
from mtl_seq.losses.weight_report import WeightReport

__all__ = [
    "AMAN",
    "DCMT",
    "DDPO",
    "IPS",
    "NISE",
    "ClickSpace",
    "ClickUnconverted",
    "Comparisons",
    "ConversionPropensity",
    "CrossFit",
    "DRBiasImputation",
    "DRMSEImputation",
    "DependentLikelihood",
    "DirectMethod",
    "DoublyRobust",
    "DrawnPairs",
    "EntireSpace",
    "EvalMode",
    "GaussianLikelihood",
    "Imputation",
    "LabelImputation",
    "LambdaRank",
    "Loss",
    "MRDRImputation",
    "MonotonicityPenalty",
    "MovingAverage",
    "Objective",
    "Oversampling",
    "PathLoss",
    "PotentialOutcome",
    "PropensityLoss",
    "PropensityPolicy",
    "RankNet",
    "RankingLoss",
    "ReweightedClick",
    "Scale",
    "SoftAlignment",
    "Unbias",
    "UnconvertedIPS",
    "WeightReport",
    "WeightedImputation",
    "WholeLists",
    "imputed_error",
]


def __dir__() -> list[str]:
    return __all__
