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
from mtl_seq.simulate.named import scenario, scenarios
from mtl_seq.simulate.shards import Shards, read_shards, write_shards

__all__ = [
    "Actions",
    "Context",
    "Delay",
    "Drift",
    "Exposure",
    "KnobError",
    "LogisticFunnel",
    "MMoERegression",
    "Shards",
    "Simulator",
    "known_at",
    "read_shards",
    "scenario",
    "scenarios",
    "write_shards",
]
