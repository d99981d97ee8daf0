"""A `FunnelModel` as a LightningModule, for `FunnelEstimator` or one's own Trainer."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance import Balance, parts_of
from mtl_seq.fit.optim import DenseAdam, OptimizerFactory, RowWise, table_gradients
from mtl_seq.fit.train.alternating import copy_towers, take_turns
from mtl_seq.fit.train.dataloaders import Loader
from mtl_seq.fit.train.distributed import Parted, check_parted
from mtl_seq.fit.train.precision import Arithmetic, Precision, arithmetic_for, check_precision
from mtl_seq.fit.train.propensity import NetworkPropensity
from mtl_seq.fit.train.training_metrics import Tally
from mtl_seq.fit.train.validation_metrics import ValidationFigures
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
        balance: Makes the gradient of a step of the losses; None for that of their sum. Its weights
            are logged as ``balance/<task>``.
        optimizer: Builds the optimiser; by default `fit.DenseAdam()`.
        precision: In what the network computes: ``"float32"``, ``"bfloat16"``, or ``"auto"`` for
            what its first batch finds fastest. Losses and metrics are float32 in any case.

    Raises:
        CompositionError: A row-wise optimiser beside what needs dense gradients.

    Attributes:
        tallies: What was logged after each epoch.
        arithmetic: What the network computes in, once training has begun.
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
                f"{type(self.optimizer).__name__} reads the rows a step touched off sparse "
                "gradients, and a balance makes dense ones: leave `balance` out, or use "
                "`fit.DenseAdam()`"
            )
        self._losses: dict[str, Tensor] = {}
        self.rule = MisrankedShare() if model.objective.ranks_only else ClickedLogLoss()
        self.figures = None if model.objective.ranks_only else ValidationFigures()
        self.tallies: list[dict[str, float]] = []
        self._tally = Tally()
        self._position: dict[str, Any] | None = None
        self._steps: int | None = None
        # Turns take an optimiser step each.
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
            found = arithmetic_for(self.precision, network, features, train=True)
            # What one process measured may differ from what another did.
            alone = self.precision != "auto" or self.trainer.world_size == 1
            self.arithmetic = found if alone else self.trainer.strategy.broadcast(found)

    def on_train_epoch_start(self) -> None:
        """Let towers take over the weights of others where the model's schedule says so."""
        copy_towers(self.model)

    def training_step(self, batch: FunnelBatch, batch_index: int) -> Tensor:  # noqa: ARG002
        """The total loss of a batch."""
        features, labels = _parts(batch)
        if self.propensity is not None:
            labels = labels._replace(propensity=self.propensity(features))
        if self.model.schedule is not None:
            prediction, losses = take_turns(
                self, self.model, self.model.schedule, features, labels, predict=self.predicted
            )
            self._move_on()
        else:
            prediction = self.predicted(features)
            parted = Parted.of(labels)
            if parted is not None:
                prediction = parted.prediction(prediction, self.model.network)
                labels = parted.labels
            losses = self.model.objective(prediction, labels)
            self._losses = losses
        self._tally.add(self.model.objective, losses, prediction, labels)
        return torch.stack(list(losses.values())).sum()

    def predicted(self, features: Mapping[str, Tensor]) -> FunnelPrediction:
        """What the model says of a batch, in the arithmetic chosen."""
        device = next(iter(features.values())).device
        with (self.arithmetic or Arithmetic.FLOAT32).network(device):
            prediction: FunnelPrediction = self.model(features)
        return prediction

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """The gradient of a step: of the total loss, or what the balance makes of its parts."""
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
        self._move_on()

    def transfer_batch_to_device(
        self, batch: FunnelBatch, device: torch.device, dataloader_idx: int
    ) -> FunnelBatch:
        """The batch on the device; as it is where it lies there, whatever it holds."""
        if all(x.device == device for x in batch.features.values()):
            return batch
        moved: FunnelBatch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved

    def on_train_batch_end(self, outputs: Any, *_: Any) -> None:
        """Log the loss of a step where anybody logs."""
        if self.trainer.loggers:
            self.log("train/loss", outputs["loss"])

    def on_train_epoch_end(self) -> None:
        """Log the losses and how far their weights are to be trusted."""
        figures = self._tally.figures()
        for name, loss in self.model.objective.losses.items():
            figures |= {f"{name}/{key}": value for key, value in loss.figures().items()}
        if self.balance is not None:
            self.balance.end_epoch()
            figures |= self.balance.figures()
        self.tallies.append(figures)
        self._tally = Tally()
        for name, value in self.tallies[-1].items():
            self.log(f"train/{name}", value)

    def validation_step(self, batch: FunnelBatch, batch_index: int) -> None:  # noqa: ARG002
        """Add a batch to the checkpoint rule."""
        features, labels = _parts(batch)
        prediction = self.predicted(features)
        if self.figures is not None:
            self.figures.update(prediction, labels)
        self.rule.update(prediction, labels)

    def on_validation_epoch_end(self) -> None:
        """Log the checkpoint rule and start it anew."""
        self.log("valid/rule", self.rule.compute().float())
        self.rule.reset()
        if self.figures is not None:
            for name, value in self.figures.compute().items():
                self.log(f"valid/{name}", value.float())
            self.figures.reset()

    def configure_optimizers(self) -> Any:
        """The optimiser; its rates fall linearly to 0 over the whole run."""
        optimizer = self.optimizer(self.model, lr=self.lr, weight_decay=self.weight_decay)
        learned = [] if self.balance is None else self.balance.learned()
        if learned:
            optimizer.add_param_group({"params": learned, "weight_decay": 0.0})
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._rate(step))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what was tallied, and where the loader's pass stands."""
        checkpoint["tallies"] = self.tallies
        checkpoint["tally"] = self._tally.state_dict()
        checkpoint["arithmetic"] = None if self.arithmetic is None else self.arithmetic.value
        loader = self.trainer.train_dataloader
        if isinstance(loader, Loader):
            checkpoint["loader"] = loader.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with what was tallied."""
        self.tallies = checkpoint["tallies"]
        self._tally.load_state_dict(checkpoint["tally"], self.model.objective)
        self._position = checkpoint.get("loader")
        chosen = checkpoint["arithmetic"]
        self.arithmetic = None if chosen is None else Arithmetic(chosen)

    def on_fit_start(self) -> None:
        """Refuse what cannot be trained by several processes.

        Raises:
            CompositionError: There are several, and they cannot.
        """
        if self.trainer.world_size > 1:
            check_parted(self.model, self.balance)

    def on_train_start(self) -> None:
        """Have the loader go on where it was."""
        # Lightning (2.6) does so within an epoch but not between two, where passes would repeat.
        loader = self.trainer.train_dataloader
        if self._position is not None and isinstance(loader, Loader):
            loader.load_state_dict(self._position)
        self._position = None

    def _rate(self, step: int) -> float:
        # How many steps there are is asked late: to ask while a checkpoint is being restored has
        # Lightning (2.6) begin the epoch's rows anew and count on from the middle.
        if step == 0:
            self._steps = None
            return 1.0
        if self._steps is None:
            self._steps = max(int(self.trainer.estimated_stepping_batches), 1)
        return 1 - step / self._steps

    def _move_on(self) -> None:
        if self.propensity is not None:
            self.propensity.update()


def _parts(batch: FunnelBatch) -> tuple[Mapping[str, Tensor], FunnelLabels]:
    features, labels = batch
    if labels is None:
        raise ValueError("a batch to train on must carry labels, found None")
    return features, labels
