"""Choice of the epoch that is kept, and early stopping."""

import copy
import math
from collections.abc import Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mtl_seq.fit.train.validation_metrics import SPACES

__all__ = ["KeepBest"]


class KeepBest(Callback):
    """Keeps the best epoch's weights; stops early after `patience` epochs without a better one.

    Args:
        patience: Epochs without a better value before training stops.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = math.inf
        self.epoch = -1
        self.values: list[float] = []
        self.state: dict[str, Tensor] = {}
        self.metrics: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop at once where a resumed fit had already stopped early."""
        trainer.should_stop = trainer.should_stop or self._is_patience_over()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the epoch with the best so far."""
        value = float(trainer.callback_metrics["valid/rule"])
        self.values.append(value)
        if value < self.best or not self.state:
            self.best, self.epoch = value, len(self.values) - 1
            self.metrics = _validation_metrics(trainer.callback_metrics)
            self.state = copy.deepcopy(pl_module.model.state_dict())  # type: ignore[union-attr]
        elif self._is_patience_over():
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        names = ("best", "epoch", "values", "state", "metrics")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read what `state_dict` wrote."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def _is_patience_over(self) -> bool:
        return bool(self.values) and len(self.values) - 1 - self.epoch >= self.patience


def _validation_metrics(logged: Mapping[str, Tensor]) -> dict[str, float]:
    """The logged validation metrics, without the checkpoint rule."""
    return {
        f"{quantity}/{name}": float(logged[at])
        for quantity in SPACES
        for name in ("log_loss", "pcoc", "rate")
        if (at := f"valid/{quantity}/{name}") in logged
    }
