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
from mtl_seq.fit.calibration_step import calibrate_model
from mtl_seq.fit.click_selection import selection_test
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.fit.optim import DenseAdam, OptimizerFactory, RowWiseAdagrad, RowWiseAdam
from mtl_seq.fit.train.result import CHECKPOINT_RULE, RANKING_RULE, TrainingResult
from mtl_seq.fit.train.resume import Checkpoints

if TYPE_CHECKING:
    from mtl_seq.fit.train.lightning_module import FunnelModule

__all__ = [
    "CHECKPOINT_RULE",
    "DWA",
    "RANKING_RULE",
    "Balance",
    "BalanceFactory",
    "Checkpoints",
    "DenseAdam",
    "FitConfig",
    "FunnelEstimator",
    "FunnelModule",
    "GradNorm",
    "JacobianDescent",
    "OptimizerFactory",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "TrainingResult",
    "Uncertainty",
    "calibrate_model",
    "selection_test",
]


def __getattr__(name: str) -> Any:
    if name == "FunnelModule":
        from mtl_seq.fit.train.lightning_module import FunnelModule

        return FunnelModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
