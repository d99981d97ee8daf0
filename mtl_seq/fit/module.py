"""A `FunnelModel` as a LightningModule, for `FunnelEstimator` or one's own Trainer."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from mtl_seq.fit.optim import build_optimizer
from mtl_seq.metrics import ClickedLogLoss
from mtl_seq.models import FunnelModel
from mtl_seq.records import FunnelBatch, FunnelLabels, FunnelPrediction

__all__ = ["FunnelModule"]


class FunnelModule(LightningModule):
    """Trains a model on batches of features and labels.

    It logs every weighted risk as ``train/<name>`` and the checkpoint rule as ``valid/rule``.

    Args:
        model: The model.
        lr: Learning rate.
        weight_decay: Decoupled weight decay of all but embedding tables.
    """

    def __init__(self, model: FunnelModel, *, lr: float = 1e-3, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.lr = lr
        self.weight_decay = weight_decay
        self.rule = ClickedLogLoss()

    def training_step(self, batch: FunnelBatch, batch_index: int) -> Tensor:  # noqa: ARG002
        """The total loss of a batch."""
        prediction, labels = self._predict(batch)
        losses: dict[str, Tensor] = self.model.objective(prediction, labels)
        return torch.stack(list(losses.values())).sum()

    def validation_step(self, batch: FunnelBatch, batch_index: int) -> None:  # noqa: ARG002
        """Add a batch to the checkpoint rule."""
        self.rule.update(*self._predict(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the checkpoint rule and start it anew."""
        self.log("valid/rule", self.rule.compute().float())
        self.rule.reset()

    def configure_optimizers(self) -> Any:
        """Adam, fused; its rate falls linearly to 0 over the whole run."""
        optimizer = build_optimizer(self.model, lr=self.lr, weight_decay=self.weight_decay)
        steps = max(int(self.trainer.estimated_stepping_batches), 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def _predict(self, batch: FunnelBatch) -> tuple[FunnelPrediction, FunnelLabels]:
        features, labels = batch
        if labels is None:
            raise ValueError("a batch to train on must carry labels, found None")
        return self.model(features), labels
