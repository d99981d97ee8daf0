"""Propensities of every user from click models that did not see the user."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from mtl_seq.data import BatchLoader
from mtl_seq.errors import DataError
from mtl_seq.fit.optim import OptimizerFactory, table_gradients
from mtl_seq.fit.train.propensity import inside
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
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    id_dropout: float,
    seed: int,
    settings: Mapping[str, Any],
    optimizer: OptimizerFactory,
) -> FunnelBatch:
    """The rows with ``labels.propensity``: each user's from a network trained on the other folds.

    Args:
        network: Where every fold's network starts; left as it is. Its click tower is trained.
        rows: Training rows.
        folds: How many folds.
        epochs: Passes of every fold's training.
        batch_size: Rows per step.
        lr: Learning rate, falling linearly to 0.
        weight_decay: Decoupled weight decay of all but embedding tables.
        id_dropout: Share of ids replaced by the unseen.
        seed: Seed of the folds and of the order of the rows.
        settings: Arguments of Lightning's Trainer.
        optimizer: Builds the optimiser.

    Returns:
        The rows.

    Raises:
        DataError: No users, or fewer than folds.
    """
    assert rows.labels is not None
    fold = user_folds(rows.labels.group, folds, seed)
    propensity = torch.empty(len(fold))
    for index in range(folds):
        held = (fold == index).nonzero().squeeze(1)
        others = (fold != index).nonzero().squeeze(1)
        known = _take(rows, others)
        module = _ClickModule(copy.deepcopy(network), lr, weight_decay, optimizer)
        loader = BatchLoader(
            known,
            batch_size,
            generator=torch.Generator().manual_seed(seed + index),
            id_dropout=id_dropout,
        )
        with table_gradients(module.network, optimizer):
            Trainer(max_epochs=epochs, **settings).fit(module, loader)
        unseen = _as_unseen(_take(rows, held), known)
        (pctr,) = batched_forward(module.network, unseen.features, lambda output: (output.pctr,))
        propensity[held] = inside(pctr.float())
    return rows._replace(labels=rows.labels._replace(propensity=propensity))


def user_folds(group: Tensor | None, folds: int, seed: int) -> Tensor:
    """``(N,)`` the fold of every row; all rows of a user are in one, and folds differ by one user.

    Args:
        group: ``(N,)`` codes of the user.
        folds: How many.
        seed: Seed of the parting.

    Raises:
        DataError: No users, or fewer than folds.
    """
    if group is None:
        raise DataError(
            "`CrossFit` parts the users into folds, but the rows have none: name their column as "
            "`group` of the schema"
        )
    users, place = torch.unique(group, return_inverse=True)
    if len(users) < folds:
        raise DataError(f"`folds` must be at most the number of users, {len(users)}, found {folds}")
    order = torch.randperm(len(users), generator=torch.Generator().manual_seed(seed))
    return (order % folds)[place]


class _ClickModule(LightningModule):
    def __init__(
        self, network: FunnelNetwork, lr: float, weight_decay: float, optimizer: OptimizerFactory
    ) -> None:
        super().__init__()
        self.network = network
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer = optimizer
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


def _as_unseen(rows: FunnelBatch, known: FunnelBatch) -> FunnelBatch:
    """Ids that training never met have no trained vector: 0, the unseen, has."""
    features = dict(rows.features)
    for name, column in features.items():
        if column.dtype == torch.int64:
            met = torch.isin(column, torch.unique(known.features[name])) | (column < 0)
            features[name] = column * met
    return rows._replace(features=features)
