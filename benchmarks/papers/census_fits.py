"""Networks and gradient boosting of the Census-Income study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.lib.datasets import converted
from benchmarks.papers.mmoe_networks import STRUCTURES, TOWER_WIDTH, parameters, widths
from mtl_seq import Codec, Schema
from mtl_seq.data import BatchLoader
from mtl_seq.features import FeatureSpec
from mtl_seq.functional import auc
from mtl_seq.nn import Embedding, Tower
from mtl_seq.nn.layers.embedding import TowerEmbeddings
from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = [
    "TASKS",
    "Cell",
    "Data",
    "boosted",
    "equal_parameters",
    "fit_and_measure",
    "read",
]

TASKS = ("income", "never_married")
VALIDATION, BATCH, EMBEDDING = 0.1, 1024, 8


class Cell(NamedTuple):
    """A fit."""

    features: str
    structure: str
    rate: float
    seed: int


class Data(NamedTuple):
    """Both parts of one set of features; labels ``(N, 2)``."""

    spec: FeatureSpec
    train: FunnelBatch
    test: FunnelBatch


class Network(nn.Module):
    """An embedding, a bottom, and a tower per task."""

    def __init__(self, spec: FeatureSpec, structure: str, width: int) -> None:
        super().__init__()
        kind = TowerEmbeddings if structure == "single task" else Embedding
        self.embedding = kind(spec, {task: task for task in TASKS})
        self.bottom = STRUCTURES[structure](spec.width(spec.shared), width)
        self.towers = nn.ModuleList(Tower(self.bottom.out_features, (TOWER_WIDTH,)) for _ in TASKS)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features by name, ``(B,)`` each -> logits ``(B, 2)``."""
        hidden = self.bottom(self.embedding(features)[0])
        return torch.stack([tower(hidden[:, k]) for k, tower in enumerate(self.towers)], dim=1)


def equal_parameters(data: Data) -> dict[str, int]:
    """Number of parameters of each structure at its width."""
    inputs = _inputs(data)
    return {name: parameters(inputs, name, width) for name, width in widths(inputs).items()}


def read(raw: Path, options: list[str]) -> Data:
    """Convert the raw folder, and encode both parts with the vocabularies of the train part."""
    with converted("census-income", raw, *options) as folder:
        schema = Schema.from_json(folder / "schema.json")
        frames = [pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test")]
    codec = Codec.fit(schema, frames[0])
    parts = []
    for frame in frames:
        labels = torch.from_numpy(frame[list(TASKS)].to_numpy(dtype=np.float32, copy=True))
        encoded = codec.encode(frame, labels=False)
        parts.append(FunnelBatch(encoded.features, FunnelLabels(labels)))
    spec = FeatureSpec(ids=codec.spec.ids, dense=codec.spec.dense, embedding=EMBEDDING)
    return Data(spec, *parts)


def fit_and_measure(data: Data, cell: Cell, epochs: int) -> dict[str, Any]:
    """Train one network and measure its best epoch on the test part."""
    rows = len(data.train.labels.stages)
    order = np.random.default_rng(cell.seed).permutation(rows)
    held = torch.from_numpy(order[: int(VALIDATION * rows)])
    rest = torch.from_numpy(order[int(VALIDATION * rows) :])
    training, validation = _rows_of(data.train, rest), _rows_of(data.train, held)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cell.seed)
        network = Network(data.spec, cell.structure, widths(_inputs(data))[cell.structure])
    for tower, rate in zip(network.towers, training.labels.stages.mean(0).tolist(), strict=True):
        tower.start_at(rate)
    optimizer = torch.optim.Adam(network.parameters(), lr=cell.rate, fused=True)
    loader = BatchLoader(training, BATCH, generator=torch.Generator().manual_seed(cell.seed))
    best, best_epoch, weights = float("inf"), 0, network.state_dict()
    for epoch in range(epochs):
        for batch in loader:
            loss = binary_cross_entropy_with_logits(network(batch.features), batch.labels.stages)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = _log_losses(network, validation).mean().item()
        if score < best:
            best, best_epoch = score, epoch
            weights = {name: x.clone() for name, x in network.state_dict().items()}
    network.load_state_dict(weights)
    logits, labels = _predict(network, data.test), data.test.labels.stages
    losses = _log_losses(network, data.test)
    metrics: dict[str, Any] = {"epoch": best_epoch, "validation": best}
    for k, task in enumerate(TASKS):
        metrics[f"AUC, {task}"] = float(auc(logits[:, k], labels[:, k]))
        metrics[f"log loss, {task}"] = float(losses[k])
    return metrics


def boosted(data: Data, cell: Cell) -> dict[str, Any]:
    """Gradient boosting with scikit-learn's settings, a model per task."""
    x, x_test = (
        torch.stack(list(part.features.values()), dim=1).numpy().astype(np.float64)
        for part in (data.train, data.test)
    )
    nominal = [name in data.spec.ids for name in data.train.features]
    metrics = {}
    for k, task in enumerate(TASKS):
        model = HistGradientBoostingClassifier(
            categorical_features=nominal, random_state=cell.seed, early_stopping=True
        )
        model.fit(x, data.train.labels.stages[:, k].numpy())
        score = torch.from_numpy(model.decision_function(x_test))
        metrics[f"AUC, {task}"] = float(auc(score, data.test.labels.stages[:, k]))
    return metrics


def _inputs(data: Data) -> int:
    return data.spec.width(data.spec.shared)


def _rows_of(batch: FunnelBatch, rows: Tensor) -> FunnelBatch:
    features = {name: x[rows] for name, x in batch.features.items()}
    return FunnelBatch(features, FunnelLabels(batch.labels.stages[rows]))


@torch.no_grad()
def _predict(network: Network, batch: FunnelBatch) -> Tensor:
    return torch.cat([network(part.features) for part in BatchLoader(batch, 16_384)])


def _log_losses(network: Network, batch: FunnelBatch) -> Tensor:
    logits = _predict(network, batch)
    losses = binary_cross_entropy_with_logits(logits, batch.labels.stages, reduction="none")
    return losses.mean(0)
