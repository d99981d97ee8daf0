"""Funnel simulations with known truth."""

from mtl_seq.simulate.common.parameter_checks import ParameterError
from mtl_seq.simulate.common.protocol import Simulator
from mtl_seq.simulate.logistic.actions import Actions
from mtl_seq.simulate.logistic.context import Context
from mtl_seq.simulate.logistic.delay import Delay, known_at
from mtl_seq.simulate.logistic.drift import Drift
from mtl_seq.simulate.logistic.exposure import Exposure
from mtl_seq.simulate.logistic.funnel import LogisticFunnel
from mtl_seq.simulate.mmoe_regression import MMoERegression
from mtl_seq.simulate.mrdr import MRDR_LEVELS, mrdr_predictions, mrdr_propensity, mrdr_recipe
from mtl_seq.simulate.probit import ProbitFunnel, ProbitRates
from mtl_seq.simulate.registry import scenario, scenarios
from mtl_seq.simulate.semi_synthetic import SemiSynthetic, Teacher
from mtl_seq.simulate.shards import Shards, read_shards, write_shards

__all__ = [
    "MRDR_LEVELS",
    "Actions",
    "Context",
    "Delay",
    "Drift",
    "Exposure",
    "LogisticFunnel",
    "MMoERegression",
    "ParameterError",
    "ProbitFunnel",
    "ProbitRates",
    "SemiSynthetic",
    "Shards",
    "Simulator",
    "Teacher",
    "known_at",
    "mrdr_predictions",
    "mrdr_propensity",
    "mrdr_recipe",
    "read_shards",
    "scenario",
    "scenarios",
    "write_shards",
]


def __dir__() -> list[str]:
    return __all__
