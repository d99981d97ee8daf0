"""Risks: prediction and labels to row terms, one risk a file."""

from mtl_seq.risks.aman import AMAN
from mtl_seq.risks.base import Risk
from mtl_seq.risks.calibrator import Calibrator
from mtl_seq.risks.chorus import ClickUnconverted, SoftAlignment, UnconvertedIPS
from mtl_seq.risks.click_space import ClickSpace
from mtl_seq.risks.comparisons import Comparisons, DrawnPairs, WholeLists
from mtl_seq.risks.dcmt import DCMT
from mtl_seq.risks.ddpo import DDPO, ConversionPropensity
from mtl_seq.risks.dependence import DependentLikelihood
from mtl_seq.risks.direct import DirectMethod
from mtl_seq.risks.dr import DoublyRobust
from mtl_seq.risks.dr_bias import DRBiasImputation
from mtl_seq.risks.dr_mse import DRMSEImputation
from mtl_seq.risks.entire_space import EntireSpace
from mtl_seq.risks.gaussian import GaussianLikelihood
from mtl_seq.risks.imputation import Imputation, WeightedImputation, imputed_error
from mtl_seq.risks.ips import IPS
from mtl_seq.risks.label_imputation import LabelImputation
from mtl_seq.risks.lambdarank import LambdaRank
from mtl_seq.risks.mrdr import MRDRImputation
from mtl_seq.risks.nise import NISE
from mtl_seq.risks.objective import Objective
from mtl_seq.risks.oversampling import Oversampling
from mtl_seq.risks.path import PathLoss
from mtl_seq.risks.potential import PotentialOutcome
from mtl_seq.risks.propensity import PropensityPolicy, PropensityRisk
from mtl_seq.risks.ranking import RankingRisk
from mtl_seq.risks.ranknet import RankNet
from mtl_seq.risks.reweighted import ReweightedClick, Scale
from mtl_seq.risks.sources import CrossFit, EvalMode, MovingAverage
from mtl_seq.risks.unbias import Unbias
from mtl_seq.risks.weight_report import WeightReport

__all__ = [
    "AMAN",
    "DCMT",
    "DDPO",
    "IPS",
    "NISE",
    "Calibrator",
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
    "MRDRImputation",
    "MovingAverage",
    "Objective",
    "Oversampling",
    "PathLoss",
    "PotentialOutcome",
    "PropensityPolicy",
    "PropensityRisk",
    "RankNet",
    "RankingRisk",
    "ReweightedClick",
    "Risk",
    "Scale",
    "SoftAlignment",
    "Unbias",
    "UnconvertedIPS",
    "WeightReport",
    "WeightedImputation",
    "WholeLists",
    "imputed_error",
]
