"""What benchmarks/papers/census.py fits: networks of the package's parts, and gradient boosting."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mtl_seq import Codec, Schema
from mtl_seq.data import BatchLoader
from mtl_seq.features import FeatureSpec
from mtl_seq.functional import auc
from mtl_seq.nn import PLE, Bottom, Embedding, MMoE, OMoE, SharedBottom, SingleTask, Tower
from mtl_seq.nn.layers.embedding import TowerEmbeddings
from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = [
    "STRUCTURES",
    "TASKS",
    "Cell",
    "Data",
    "boosted",
    "fit_and_measure",
    "inputs_of",
    "parameters",
    "read",
    "widths",
]

CONVERT = Path(__file__).parents[1] / "datasets" / "census-income" / "convert.py"
TASKS = ("income", "never_married")
VALIDATION, BATCH, EMBEDDING = 0.1, 1024, 8
EXPERTS, EXPERT_WIDTH, TOWER_WIDTH = 8, 16, 8  # the paper's synthetic study's

# From the number of inputs and the width of a layer; MMoE's sets the budget.
STRUCTURES: Mapping[str, Callable[[int, int], Bottom]] = {
    "single task": lambda inputs, width: SingleTask(
        inputs, 2, bottom=partial(SharedBottom, hidden=(width,))
    ),
    "shared bottom": lambda inputs, width: SharedBottom(inputs, 2, hidden=(width,)),
    "OMoE": lambda inputs, width: OMoE(inputs, 2, experts=EXPERTS, hidden=(width,)),
    "MMoE": lambda inputs, width: MMoE(inputs, 2, experts=EXPERTS, hidden=(width,)),
    "PLE": lambda inputs, width: PLE(inputs, 2, own=2, shared=4, levels=2, hidden=(width,)),
}


class Cell(NamedTuple):
    """What is fitted once."""

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
    """An embedding, a bottom, and a tower for each task."""

    def __init__(self, spec: FeatureSpec, structure: str, width: int) -> None:
        super().__init__()
        kind = TowerEmbeddings if structure == "single task" else Embedding
        self.embedding = kind(spec, {task: task for task in TASKS})
        self.bottom = STRUCTURES[structure](spec.width(spec.shared), width)
        self.towers = nn.ModuleList(Tower(self.bottom.out_features, (TOWER_WIDTH,)) for _ in TASKS)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features by name, ``(B,)`` each -> logits ``(B, 2)``."""
        read = self.bottom(self.embedding(features)[0])
        return torch.stack([tower(read[:, k]) for k, tower in enumerate(self.towers)], dim=1)


def parameters(inputs: int, structure: str, width: int) -> int:
    """Those of the bottom and the towers."""
    bottom = STRUCTURES[structure](inputs, width)
    towers = [Tower(bottom.out_features, (TOWER_WIDTH,)) for _ in TASKS]
    return sum(p.numel() for part in (bottom, *towers) for p in part.parameters())


@cache
def widths(inputs: int) -> dict[str, int]:
    """The width that brings each structure nearest to the parameters of MMoE."""
    budget = parameters(inputs, "MMoE", EXPERT_WIDTH)
    with torch.device("meta"):
        return {
            name: min(range(2, 200), key=lambda w: abs(parameters(inputs, name, w) - budget))
            for name in STRUCTURES
        }


def read(raw: Path, options: list[str]) -> Data:
    """Convert the raw folder, and encode both parts with the train part's vocabularies."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(CONVERT), str(raw), folder, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        schema = Schema.from_json(Path(folder) / "schema.json")
        frames = [pd.read_parquet(Path(folder) / f"{part}.parquet") for part in ("train", "test")]
    codec = Codec.fit(schema, frames[0])
    parts = []
    for frame in frames:
        labels = torch.from_numpy(frame[list(TASKS)].to_numpy(dtype=np.float32, copy=True))
        encoded = codec.encode(frame, labels=False)
        parts.append(FunnelBatch(encoded.features, FunnelLabels(labels)))
    spec = FeatureSpec(ids=codec.spec.ids, dense=codec.spec.dense, embedding=EMBEDDING)
    return Data(spec, *parts)


def fit_and_measure(data: Data, cell: Cell, epochs: int) -> dict[str, Any]:
    """Train one network; keep the epoch that the rule picks; measure it on the test part."""
    rows = len(data.train.labels.stages)
    order = np.random.default_rng(cell.seed).permutation(rows)
    held = torch.from_numpy(order[: int(VALIDATION * rows)])
    rest = torch.from_numpy(order[int(VALIDATION * rows) :])
    fitted, validation = taken(data.train, rest), taken(data.train, held)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cell.seed)
        network = Network(data.spec, cell.structure, widths(inputs_of(data))[cell.structure])
    for tower, rate in zip(network.towers, fitted.labels.stages.mean(0).tolist(), strict=True):
        tower.start_at(rate)
    optimizer = torch.optim.Adam(network.parameters(), lr=cell.rate, fused=True)
    loader = BatchLoader(fitted, BATCH, generator=torch.Generator().manual_seed(cell.seed))
    best, kept, weights = float("inf"), 0, network.state_dict()
    for epoch in range(epochs):
        for batch in loader:
            loss = binary_cross_entropy_with_logits(network(batch.features), batch.labels.stages)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = log_losses(network, validation).mean().item()
        if found < best:
            best, kept = found, epoch
            weights = {name: x.clone() for name, x in network.state_dict().items()}
    network.load_state_dict(weights)
    logits, labels = predict(network, data.test), data.test.labels.stages
    losses = log_losses(network, data.test)
    figures = {
        f"{figure}, {task}": round(float(value), 5)
        for k, task in enumerate(TASKS)
        for figure, value in (("AUC", auc(logits[:, k], labels[:, k])), ("log loss", losses[k]))
    }
    return {**cell._asdict(), "epoch": kept, "validation": round(best, 5), **figures}


def boosted(data: Data, cell: Cell) -> dict[str, Any]:
    """Gradient boosting, a model for each task, with scikit-learn's settings."""
    x, x_test = (
        torch.stack(list(part.features.values()), dim=1).numpy().astype(np.float64)
        for part in (data.train, data.test)
    )
    nominal = [name in data.spec.ids for name in data.train.features]
    figures = {}
    for k, task in enumerate(TASKS):
        model = HistGradientBoostingClassifier(
            categorical_features=nominal, random_state=cell.seed, early_stopping=True
        )
        model.fit(x, data.train.labels.stages[:, k].numpy())
        score = torch.from_numpy(model.decision_function(x_test))
        figures[f"AUC, {task}"] = round(float(auc(score, data.test.labels.stages[:, k])), 5)
    return {**cell._asdict(), **figures}


def inputs_of(data: Data) -> int:
    """How many inputs a bottom has."""
    return data.spec.width(data.spec.shared)


def taken(batch: FunnelBatch, rows: Tensor) -> FunnelBatch:
    features = {name: x[rows] for name, x in batch.features.items()}
    return FunnelBatch(features, FunnelLabels(batch.labels.stages[rows]))


@torch.no_grad()
def predict(network: Network, batch: FunnelBatch) -> Tensor:
    return torch.cat([network(part.features) for part in BatchLoader(batch, 16_384)])


def log_losses(network: Network, batch: FunnelBatch) -> Tensor:
    logits = predict(network, batch)
    losses = binary_cross_entropy_with_logits(logits, batch.labels.stages, reduction="none")
    return losses.mean(0)
