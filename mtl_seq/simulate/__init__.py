"""Funnel simulations with known truth."""

from mtl_seq.simulate._checks import KnobError
from mtl_seq.simulate.actions import Actions
from mtl_seq.simulate.base import Simulator
from mtl_seq.simulate.context import Context
from mtl_seq.simulate.delay import Delay, known_at
from mtl_seq.simulate.drift import Drift
from mtl_seq.simulate.exposure import Exposure
from mtl_seq.simulate.logistic import LogisticFunnel
from mtl_seq.simulate.mmoe_regression import MMoERegression
from mtl_seq.simulate.mrdr import MRDR_LEVELS, mrdr_predictions, mrdr_propensity, mrdr_recipe
from mtl_seq.simulate.named import scenario, scenarios
from mtl_seq.simulate.probit import ProbitFunnel, ProbitRates
from mtl_seq.simulate.semi_synthetic import SemiSynthetic, Teacher
from mtl_seq.simulate.shards import Shards, read_shards, write_shards

__all__ = [
    "MRDR_LEVELS",
    "Actions",
    "Context",
    "Delay",
    "Drift",
    "Exposure",
    "KnobError",
    "LogisticFunnel",
    "MMoERegression",
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
