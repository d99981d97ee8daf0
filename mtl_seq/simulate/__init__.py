"""Funnel simulations with known truth."""

from mtl_seq.simulate.base import Simulator
from mtl_seq.simulate.logistic import LogisticFunnel
from mtl_seq.simulate.mmoe_regression import MMoERegression
from mtl_seq.simulate.named import scenario, scenarios

__all__ = ["LogisticFunnel", "MMoERegression", "Simulator", "scenario", "scenarios"]
