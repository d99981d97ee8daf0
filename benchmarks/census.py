"""The Census-Income study of the MMoE paper (Ma et al., KDD 2018, section 6.2), group 1.

    python benchmarks/census.py RAW [--seeds 3] [--epochs 4]

Two tasks, an income above 50K and never married, that are no funnel: neither needs the other. So
this is written in the networks' terms: an embedding, a bottom of the package, a tower for each
task. Bottoms and towers have as many parameters as each other; single task has embeddings of its
own for each task besides. The learning rate of each structure is chosen on the validation rows of
a seed of its own.

RAW is the folder of the original files; see datasets/census-income/CARD.md. A cell is a structure
under a learning rate and a seed, on a set of features; finished cells are kept, so that an
interrupted run goes on. The result is benchmarks/results/census.json, the figure docs/census.png.
"""

import argparse
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
from cells import keep, kept
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mtl_seq import Codec, Schema
from mtl_seq.data import BatchLoader
from mtl_seq.features import FeatureSpec
from mtl_seq.functional import auc
from mtl_seq.nn import PLE, Bottom, Embedding, MMoE, OMoE, SharedBottom, SingleTask, Tower
from mtl_seq.nn.embedding import TowerEmbeddings
from mtl_seq.records import FunnelBatch, FunnelLabels
from mtl_seq.report.plots import save

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "census-income" / "convert.py"
RESULT = Path(__file__).parent / "results" / "census.json"
FIGURE = ROOT / "docs" / "census.png"
TASKS = ("income", "never_married")
FEATURE_SETS: Mapping[str, list[str]] = {"all": [], "without household": ["--without-household"]}
RATES = (1e-3, 3e-3)
TUNING_SEED, VALIDATION, BATCH, EMBEDDING = 1000, 0.1, 1024, 8
EXPERTS, EXPERT_WIDTH, TOWER_WIDTH = 8, 16, 8  # the paper's synthetic study's
FLOOR = {"income": 0.926, "never_married": 0.989}
RULE = "least mean of the two tasks' log losses on the validation rows, a tenth of the train part"
BOOSTING = "gradient boosting"

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


def best_rates(cells: Mapping[Cell, Mapping[str, Any]]) -> dict[str, float]:
    """Of each structure the learning rate with the least validation loss."""
    tuned = [(c, found["validation"]) for c, found in cells.items() if c.seed == TUNING_SEED]
    return {
        name: min((loss, c.rate) for c, loss in tuned if c.structure == name)[1]
        for name in STRUCTURES
    }


def summary(cells: Mapping[Cell, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean and spread over seeds, and the mean difference to the shared bottom, seed by seed."""
    frame = pd.DataFrame([found for c, found in cells.items() if c.seed != TUNING_SEED])
    rows = []
    for features in FEATURE_SETS:
        here = frame[frame["features"] == features].set_index("seed")
        control = here[here["structure"] == "shared bottom"]
        for name in (*STRUCTURES, BOOSTING):
            own = here[here["structure"] == name]
            row: dict[str, Any] = {"features": features, "structure": name, "seeds": len(own)}
            for task in TASKS:
                column = f"AUC, {task}"
                row[column] = round(own[column].mean(), 5)
                if name != BOOSTING:
                    gap = own[column] - control[column]
                    row[f"{column}, deviation"] = round(own[column].std(), 5)
                    row[f"{column}, minus shared bottom"] = round(gap.mean(), 5)
                    row[f"{column}, minus shared bottom, error"] = round(
                        gap.std() / np.sqrt(len(gap)), 5
                    )
            rows.append(row)
    return rows


def draw(cells: Mapping[Cell, Mapping[str, Any]], path: Path) -> None:
    """AUC of both tasks, a point for each seed."""
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots(1, 2)
    for panel, task in zip(axes, TASKS, strict=True):
        for k, name in enumerate(STRUCTURES):
            ys = [
                found[f"AUC, {task}"]
                for c, found in cells.items()
                if c.structure == name and c.features == "all" and c.seed != TUNING_SEED
            ]
            panel.scatter([k] * len(ys), ys, color="#0072B2", alpha=0.5, s=24)
            panel.hlines(np.mean(ys), k - 0.25, k + 0.25, color="#222222")
        boosting = [
            found[f"AUC, {task}"]
            for c, found in cells.items()
            if c.structure == BOOSTING and c.features == "all"
        ]
        panel.axhline(boosting[0], color="#E69F00", ls="--", label=BOOSTING)
        panel.axhline(FLOOR[task], color="#5B5B5B", ls=":", label="floor")
        panel.set_xticks(range(len(STRUCTURES)), list(STRUCTURES), rotation=25, ha="right")
        panel.set_title(task.replace("_", " "), fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("AUC, complete test part")
    axes[1].legend(frameon=False, fontsize=8)
    figure.suptitle("Census-Income, 32 nominal features: a point a seed, a line the mean", y=1.0)
    save(figure, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = {"seeds": given.seeds, "epochs": given.epochs}
    cells = kept(given.out, Cell, settings)
    data = {name: read(given.raw, options) for name, options in FEATURE_SETS.items()}

    def ensure(cell: Cell) -> None:
        if cell not in cells:
            own = data[cell.features]
            run = (
                boosted
                if cell.structure == BOOSTING
                else partial(fit_and_measure, epochs=given.epochs)
            )
            cells[cell] = run(own, cell)
            print(cells[cell], flush=True)
            write(given.out, cells, settings, data)

    for structure in STRUCTURES:
        for rate in RATES:
            ensure(Cell("all", structure, rate, TUNING_SEED))
    rates = best_rates(cells)
    for features in FEATURE_SETS:
        ensure(Cell(features, BOOSTING, 0.1, 0))
        for seed in range(given.seeds):
            for structure in STRUCTURES:
                ensure(Cell(features, structure, rates[structure], seed))
    write(given.out, cells, settings, data, rows=summary(cells), rates=rates)
    print(pd.DataFrame(summary(cells)).T.to_string())
    draw(cells, given.figure)
    return 0


def write(
    out: Path,
    cells: Mapping[Cell, Mapping[str, Any]],
    settings: Mapping[str, int],
    data: Mapping[str, Data],
    **more: Any,
) -> None:
    inputs = inputs_of(data["all"])
    sizes = {name: parameters(inputs, name, width) for name, width in widths(inputs).items()}
    command = f"python benchmarks/census.py RAW --seeds {settings['seeds']} "
    more |= {
        "checkpoint_rule": RULE,
        "spaces": "AUC and log loss on the complete test part",
        "parameters of bottom and towers": sizes,
    }
    keep(out, command + f"--epochs {settings['epochs']}", settings, cells, **more)


if __name__ == "__main__":
    sys.exit(main())
