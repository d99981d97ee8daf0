"""A `FunnelModel` as a LightningModule, for `FunnelEstimator` or a user's Trainer."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance import Balance, parts_of
from mtl_seq.fit.optim import DenseAdam, OptimizerFactory, RowWise, table_gradients
from mtl_seq.fit.train.alternating import alternating_steps, copy_towers
from mtl_seq.fit.train.dataloaders import Loader
from mtl_seq.fit.train.distributed import GatheredBatch, check_distributed
from mtl_seq.fit.train.precision import Arithmetic, Precision, arithmetic_for, check_precision
from mtl_seq.fit.train.propensity import NetworkPropensity
from mtl_seq.fit.train.training_metrics import TrainingMetrics
from mtl_seq.fit.train.validation_metrics import ValidationMetrics
from mtl_seq.metrics import ClickedLogLoss, MisrankedShare
from mtl_seq.models import FunnelModel
from mtl_seq.records import FunnelBatch, FunnelLabels, FunnelPrediction

__all__ = ["FunnelModule"]


class FunnelModule(LightningModule):
    """Trains a model on batches of features and labels.

    After every epoch it logs each weighted loss's mean as ``train/<loss>``; of a loss that divides
    by propensities also ``train/<loss>/effective_size``, ``clipped_share`` and ``largest_share``;
    the checkpoint rule as ``valid/rule``; and log loss and PCOC on validation rows of pCTR and
    pCTCVR over all impressions and of pCVR over clicks, such as ``valid/pcvr/pcoc``. Where there is
    a logger, it logs the loss of steps as ``train/loss``.

    Args:
        model: The model.
        lr: Learning rate.
        weight_decay: Decoupled weight decay of all but embedding tables.
        propensity: Supplies ``labels.propensity``; None to leave the labels as they are.
        balance: Combines the losses' gradients; None for the gradient of their sum. Its weights
            are logged as ``balance/<task>``.
        optimizer: Builds the optimiser; by default `fit.DenseAdam()`.
        precision: In what the network computes: ``"float32"``, ``"bfloat16"``, or ``"auto"`` for
            what its first batch finds fastest. Losses and metrics are float32 in any case.

    Raises:
        CompositionError: A row-wise optimiser with a balance, which needs dense gradients.

    Attributes:
        history: Training metrics of every epoch.
        arithmetic: In what the network computes, once training has begun.
    """

    def __init__(
        self,
        model: FunnelModel,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        propensity: NetworkPropensity | None = None,
        balance: Balance | None = None,
        optimizer: OptimizerFactory | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.model = model
        self.lr = lr
        self.weight_decay = weight_decay
        self.propensity = propensity
        self.balance = balance
        self.optimizer = optimizer or DenseAdam()
        check_precision(precision)
        self.precision = precision
        self.arithmetic: Arithmetic | None = None
        self._open = ExitStack()
        if isinstance(self.optimizer, RowWise) and balance is not None:
            raise CompositionError(
                f"{type(self.optimizer).__name__} needs sparse gradients, and a balance makes "
                "dense ones: leave `balance` out, or use "
                "`fit.DenseAdam()`"
            )
        self._losses: dict[str, Tensor] = {}
        self.rule = MisrankedShare() if model.objective.ranks_only else ClickedLogLoss()
        self.validation_metrics = None if model.objective.ranks_only else ValidationMetrics()
        self.history: list[dict[str, float]] = []
        self._metrics = TrainingMetrics()
        self._position: dict[str, Any] | None = None
        self._steps: int | None = None
        # Alternating losses take an optimiser step each.
        self.automatic_optimization = model.schedule is None

    def setup(self, stage: str) -> None:
        """Let tables have sparse gradients where the optimiser moves rows."""
        if stage != "fit":
            return
        if isinstance(self.optimizer, RowWise) and self.trainer.gradient_clip_val:
            raise CompositionError(
                f"{type(self.optimizer).__name__} has sparse gradients, which are not clipped: "
                "leave `gradient_clip_val` out, or use `fit.DenseAdam()`"
            )
        self._open.enter_context(table_gradients(self.model, self.optimizer))

    def teardown(self, stage: str) -> None:  # noqa: ARG002
        """Let tables have dense gradients again."""
        self._open.close()

    def on_train_batch_start(self, batch: FunnelBatch, batch_idx: int) -> None:  # noqa: ARG002
        """Choose the arithmetic by the first batch of a run."""
        if self.arithmetic is None:
            network, features = self.model.network, batch.features
            chosen = arithmetic_for(self.precision, network, features, train=True)
            # Measurements differ between processes: all take that of rank 0.
            measured = self.precision == "auto" and self.trainer.world_size > 1
            self.arithmetic = self.trainer.strategy.broadcast(chosen) if measured else chosen

    def on_train_epoch_start(self) -> None:
        """Copy towers' weights where the model's schedule says so."""
        copy_towers(self.model)

    def training_step(self, batch: FunnelBatch, batch_index: int) -> Tensor:  # noqa: ARG002
        """The total loss of a batch."""
        features, labels = _parts(batch)
        if self.propensity is not None:
            labels = labels._replace(propensity=self.propensity(features))
        if self.model.schedule is not None:
            prediction, losses = alternating_steps(
                self, self.model, self.model.schedule, features, labels, predict=self.predicted
            )
            self._update_average()
        else:
            prediction = self.predicted(features)
            gathered = GatheredBatch.of(labels)
            if gathered is not None:
                prediction = gathered.prediction(prediction, self.model.network)
                labels = gathered.labels
            losses = self.model.objective(prediction, labels)
            self._losses = losses
        self._metrics.update(self.model.objective, losses, prediction, labels)
        return torch.stack(list(losses.values())).sum()

    def predicted(self, features: Mapping[str, Tensor]) -> FunnelPrediction:
        """The model's prediction of a batch, in the arithmetic chosen."""
        device = next(iter(features.values())).device
        with (self.arithmetic or Arithmetic.FLOAT32).network(device):
            prediction: FunnelPrediction = self.model(features)
        return prediction

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """The gradient of a step: of the total loss, or the balance's combination of the losses."""
        with (self.arithmetic or Arithmetic.FLOAT32).backward():
            if self.balance is None:
                loss.backward(*args, **kwargs)  # type: ignore[no-untyped-call]
            else:
                losses = self.balance.gather(self._losses)
                self.balance.backward(losses, parts_of(self.model.network))
        self._losses = {}

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """A step, and the moving average of the weights after it."""
        super().optimizer_step(*arguments, **settings)
        self._update_average()

    def transfer_batch_to_device(
        self, batch: FunnelBatch, device: torch.device, dataloader_idx: int
    ) -> FunnelBatch:
        """The batch on the device; the same object where it is there already."""
        if all(x.device == device for x in batch.features.values()):
            return batch
        moved: FunnelBatch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved

    def on_train_batch_end(self, outputs: Any, *_: Any) -> None:
        """Log the loss of a step where there is a logger."""
        if self.trainer.loggers:
            self.log("train/loss", outputs["loss"])

    def on_train_epoch_end(self) -> None:
        """Log the training metrics."""
        metrics = self._metrics.compute()
        for name, loss in self.model.objective.losses.items():
            metrics |= {f"{name}/{key}": value for key, value in loss.figures().items()}
        if self.balance is not None:
            self.balance.end_epoch()
            metrics |= self.balance.figures()
        self.history.append(metrics)
        self._metrics = TrainingMetrics()
        for name, value in metrics.items():
            self.log(f"train/{name}", value)

    def validation_step(self, batch: FunnelBatch, batch_index: int) -> None:  # noqa: ARG002
        """Add a batch to the checkpoint rule."""
        features, labels = _parts(batch)
        prediction = self.predicted(features)
        if self.validation_metrics is not None:
            self.validation_metrics.update(prediction, labels)
        self.rule.update(prediction, labels)

    def on_validation_epoch_end(self) -> None:
        """Log the checkpoint rule and the validation metrics, and reset both."""
        self.log("valid/rule", self.rule.compute().float())
        self.rule.reset()
        if self.validation_metrics is not None:
            for name, value in self.validation_metrics.compute().items():
                self.log(f"valid/{name}", value.float())
            self.validation_metrics.reset()

    def configure_optimizers(self) -> Any:
        """The optimiser; its rates fall linearly to 0 over the whole run."""
        optimizer = self.optimizer(self.model, lr=self.lr, weight_decay=self.weight_decay)
        learned = [] if self.balance is None else self.balance.learned()
        if learned:
            optimizer.add_param_group({"params": learned, "weight_decay": 0.0})
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._rate(step))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the training metrics, and the loader's position in the epoch."""
        checkpoint["history"] = self.history
        checkpoint["metrics"] = self._metrics.state_dict()
        checkpoint["arithmetic"] = None if self.arithmetic is None else self.arithmetic.value
        loader = self.trainer.train_dataloader
        if isinstance(loader, Loader):
            checkpoint["loader"] = loader.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the training metrics."""
        self.history = checkpoint["history"]
        self._metrics.load_state_dict(checkpoint["metrics"], self.model.objective)
        self._position = checkpoint.get("loader")
        chosen = checkpoint["arithmetic"]
        self.arithmetic = None if chosen is None else Arithmetic(chosen)

    def on_fit_start(self) -> None:
        """Refuse models that several processes cannot train.

        Raises:
            CompositionError: There are several, and the model is one of these.
        """
        if self.trainer.world_size > 1:
            check_distributed(self.model, self.balance)

    def on_train_start(self) -> None:
        """Restore the loader's position."""
        # Lightning (2.6) does so within an epoch but not between two, which would repeat one.
        loader = self.trainer.train_dataloader
        if self._position is not None and isinstance(loader, Loader):
            loader.load_state_dict(self._position)
        self._position = None

    def _rate(self, step: int) -> float:
        # The number of steps is read late: read while a checkpoint is restored, it makes Lightning
        # (2.6) restart the epoch's rows but continue its count of them.
        if step == 0:
            self._steps = None
            return 1.0
        if self._steps is None:
            self._steps = max(int(self.trainer.estimated_stepping_batches), 1)
        return 1 - step / self._steps

    def _update_average(self) -> None:
        if self.propensity is not None:
            self.propensity.update()


def _parts(batch: FunnelBatch) -> tuple[Mapping[str, Tensor], FunnelLabels]:
    features, labels = batch
    if labels is None:
        raise ValueError("a batch to train on must carry labels, found None")
    return features, labels
