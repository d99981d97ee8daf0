"""Balancing the losses of several tasks: by weights, or by their gradients."""

from mtl_seq.fit.balance.base import Balance, BalanceFactory
from mtl_seq.fit.balance.dwa import DWA
from mtl_seq.fit.balance.gradnorm import GradNorm
from mtl_seq.fit.balance.jacobian import JacobianDescent
from mtl_seq.fit.balance.parts import Parts, parts_of
from mtl_seq.fit.balance.uncertainty import Uncertainty

__all__ = [
    "DWA",
    "Balance",
    "BalanceFactory",
    "GradNorm",
    "JacobianDescent",
    "Parts",
    "Uncertainty",
    "parts_of",
]
