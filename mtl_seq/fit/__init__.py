"""Training. Lightning is imported when something is fitted, not before."""

from importlib import import_module
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
from mtl_seq.fit.expert_gates import Gates, expert_gates
from mtl_seq.fit.optim import DenseAdam, OptimizerFactory, RowWiseAdagrad, RowWiseAdam
from mtl_seq.fit.train.result import CHECKPOINT_RULE, RANKING_RULE, TrainingResult
from mtl_seq.fit.train.resume import Checkpoints

if TYPE_CHECKING:
    from mtl_seq.fit.sharded.files import load_sharded, save_sharded
    from mtl_seq.fit.sharded.tables import average_gradients, shard_tables, sharded_optimizers
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
    "Gates",
    "GradNorm",
    "JacobianDescent",
    "OptimizerFactory",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "TrainingResult",
    "Uncertainty",
    "average_gradients",
    "calibrate_model",
    "expert_gates",
    "load_sharded",
    "save_sharded",
    "selection_test",
    "shard_tables",
    "sharded_optimizers",
]

_LAZY = {
    "FunnelModule": "mtl_seq.fit.train.lightning_module",
    "average_gradients": "mtl_seq.fit.sharded.tables",
    "load_sharded": "mtl_seq.fit.sharded.files",
    "save_sharded": "mtl_seq.fit.sharded.files",
    "shard_tables": "mtl_seq.fit.sharded.tables",
    "sharded_optimizers": "mtl_seq.fit.sharded.tables",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
