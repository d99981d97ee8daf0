"""Settings of one fit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mtl_seq.data import Encoding
from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance import BalanceFactory
from mtl_seq.fit.optim import OptimizerFactory
from mtl_seq.models import Builder, CalibrationConfig, targeted
from mtl_seq.schema import Schema

__all__ = ["FitConfig", "Precision", "builder_name"]

_FEWEST_STEPS = 100

Precision = Literal["float32", "bfloat16", "auto"]
"""In what a network computes, as a caller names it."""

# Not among the saved settings: the builder and the schema are kept beside them, progress and
# trainer are of the process and not of the model.
_NOT_SAVED = {"saved": False}


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Settings of one fit: the parameters of `FunnelEstimator`, each with its value.

    The estimator documents them. `prepare` and `train` read this value; the command line takes its
    defaults from it, a model folder and a checkpoint keep its `settings`.
    """

    schema: Schema = field(metadata=_NOT_SAVED)
    model: Builder = field(default=targeted, metadata=_NOT_SAVED)
    epochs: int | None = None
    batch_size: int = 256
    lr: float = 5e-3
    weight_decay: float = 0.0
    id_dropout: float = 0.01
    encoding: Encoding = field(default_factory=Encoding)
    validation: float = 0.05
    patience: int = 2
    balance: BalanceFactory | None = None
    calibrate: CalibrationConfig | None = None
    optimizer: OptimizerFactory | None = None
    precision: Precision = "float32"
    allow_leak: Collection[str] = ()
    seed: int = 0
    progress: bool = field(default=False, metadata=_NOT_SAVED)
    trainer: Mapping[str, Any] = field(default_factory=dict, metadata=_NOT_SAVED)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> "FitConfig":
        """The parameters of an estimator as settings; one that is None takes its default.

        Raises:
            CompositionError: No schema, or a model that cannot be called.
        """
        if parameters.get("schema") is None:
            raise CompositionError(
                "`schema` must name the roles of the log's columns, found None: "
                "FunnelEstimator(model, schema)"
            )
        model = parameters.get("model")
        if model is not None and not callable(model):
            raise CompositionError(
                f"`model` must be a builder such as models.esmm, found {model!r}"
            )
        return cls(**{name: value for name, value in parameters.items() if value is not None})

    @property
    def settings(self) -> dict[str, Any]:
        """By name, what a model folder and a checkpoint keep."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.metadata.get("saved", True)
        }

    def epochs_for(self, rows: int) -> int:
        """`epochs`, or by default one, on a small log as many as make 100 steps."""
        if self.epochs is not None:
            return self.epochs
        return -(-_FEWEST_STEPS * self.batch_size // rows)


def builder_name(builder: Builder) -> str:
    """A builder's name, also of a partial of one."""
    return str(getattr(getattr(builder, "func", builder), "__name__", "model"))
