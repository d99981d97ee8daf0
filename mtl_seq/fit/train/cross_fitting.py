"""Cross-fitted click propensities: each user's from a model trained without that user."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from mtl_seq.data import BatchLoader
from mtl_seq.errors import DataError
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.optim import DenseAdam, table_gradients
from mtl_seq.fit.train.propensity import clip_open
from mtl_seq.losses import EntireSpace, Objective
from mtl_seq.nn import FunnelNetwork
from mtl_seq.nn.forward import batched_forward
from mtl_seq.records import FunnelBatch

__all__ = ["cross_fitted", "user_folds"]


def cross_fitted(
    network: FunnelNetwork,
    rows: FunnelBatch,
    folds: int,
    *,
    config: FitConfig,
    epochs: int,
    settings: Mapping[str, Any],
) -> FunnelBatch:
    """Add ``labels.propensity``: each user's from a network trained on the other folds.

    Args:
        network: Where every fold's network starts; left as it is. Its click tower is trained.
        rows: Training rows.
        folds: Number of folds.
        config: The settings of the fit.
        epochs: Epochs of every fold's training.
        settings: Arguments of Lightning's Trainer.

    Returns:
        The rows.

    Raises:
        DataError: No users, or fewer than folds.
    """
    assert rows.labels is not None
    fold = user_folds(rows.labels.group, folds, config.seed)
    propensity = torch.empty(len(fold))
    for index in range(folds):
        held_out = (fold == index).nonzero().squeeze(1)
        others = _take(rows, (fold != index).nonzero().squeeze(1))
        module = _ClickModule(copy.deepcopy(network), config)
        loader = BatchLoader(
            others,
            config.batch_size,
            generator=torch.Generator().manual_seed(config.seed + index),
            id_dropout=config.id_dropout,
        )
        with table_gradients(module.network, module.optimizer):
            Trainer(max_epochs=epochs, **settings).fit(module, loader)
        masked = _with_unseen(_take(rows, held_out), others)
        (pctr,) = batched_forward(module.network, masked.features, lambda x: (x.pctr,))
        propensity[held_out] = clip_open(pctr.float())
    return rows._replace(labels=rows.labels._replace(propensity=propensity))


def user_folds(group: Tensor | None, folds: int, seed: int) -> Tensor:
    """``(N,)`` folds of rows; a user's rows share a fold, and folds differ by at most one user.

    Args:
        group: ``(N,)`` codes of the user.
        folds: Number of folds.
        seed: Seed of the split.

    Raises:
        DataError: No users, or fewer than folds.
    """
    if group is None:
        raise DataError(
            "`CrossFit` splits the users into folds, but the rows have none: name their column as "
            "`group` of the schema"
        )
    users, place = torch.unique(group, return_inverse=True)
    if len(users) < folds:
        raise DataError(f"`folds` must be at most the number of users, {len(users)}, found {folds}")
    order = torch.randperm(len(users), generator=torch.Generator().manual_seed(seed))
    return (order % folds)[place]


class _ClickModule(LightningModule):
    def __init__(self, network: FunnelNetwork, config: FitConfig) -> None:
        super().__init__()
        self.network = network
        self.lr = config.lr
        self.weight_decay = config.weight_decay
        self.optimizer = config.optimizer or DenseAdam()
        self.objective = Objective({"ctr": EntireSpace(network.funnel.first)})

    def training_step(self, batch: FunnelBatch, batch_index: int) -> Tensor:  # noqa: ARG002
        assert batch.labels is not None
        return self.objective.total(self.network(batch.features), batch.labels)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.network, lr=self.lr, weight_decay=self.weight_decay)
        steps = max(int(self.trainer.estimated_stepping_batches), 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def _take(rows: FunnelBatch, index: Tensor) -> FunnelBatch:
    assert rows.labels is not None
    labels = type(rows.labels)(*(None if part is None else part[index] for part in rows.labels))  # type: ignore[arg-type]
    return FunnelBatch({name: x[index] for name, x in rows.features.items()}, labels)


def _with_unseen(rows: FunnelBatch, trained: FunnelBatch) -> FunnelBatch:
    """The rows with row 0, the unseen, for ids that are absent from the training rows."""
    features = dict(rows.features)
    for name, column in features.items():
        if column.dtype == torch.int64:
            known = torch.isin(column, torch.unique(trained.features[name])) | (column < 0)
            features[name] = column * known
    return rows._replace(features=features)
