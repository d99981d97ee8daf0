"""Training. Lightning is imported when something is fitted, not before."""

from typing import TYPE_CHECKING, Any

from mtl_seq.fit.balance import (
    DWA,
    Balance,
    BalanceFactory,
    GradNorm,
    JacobianDescent,
    Uncertainty,
)
from mtl_seq.fit.calibrate import Calibrate, Calibration
from mtl_seq.fit.calibrating import calibrate_model
from mtl_seq.fit.checkpoints import Checkpoints
from mtl_seq.fit.dependence import dependence_moment
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.fit.optim import DenseAdam, OptimizerFactory, RowWiseAdagrad, RowWiseAdam
from mtl_seq.fit.run import CHECKPOINT_RULE, Run
from mtl_seq.fit.selection import selection_test

if TYPE_CHECKING:
    from mtl_seq.fit.module import FunnelModule

__all__ = [
    "CHECKPOINT_RULE",
    "DWA",
    "Balance",
    "BalanceFactory",
    "Calibrate",
    "Calibration",
    "Checkpoints",
    "DenseAdam",
    "FunnelEstimator",
    "FunnelModule",
    "GradNorm",
    "JacobianDescent",
    "OptimizerFactory",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "Run",
    "Uncertainty",
    "calibrate_model",
    "dependence_moment",
    "selection_test",
]


def __getattr__(name: str) -> Any:
    if name == "FunnelModule":
        from mtl_seq.fit.module import FunnelModule

        return FunnelModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
