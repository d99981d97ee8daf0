"""Repeat the Census-Income study of the MMoE paper (Ma et al., KDD 2018, section 6.2), group 1.

    python -m benchmarks.papers.census RAW [--seeds 3] [--epochs 4]

The two tasks, an income above 50K and never married, are no funnel: neither needs the other. The
networks are composed of the package's layers: an embedding, a bottom, a tower per task. Bottoms and
towers have equal numbers of parameters; single task also has separate embeddings per task. The
learning rate of each structure is chosen on the validation rows of a separate seed.

RAW is the folder of the original files; see datasets/census-income/CARD.md. A cell is a structure
under a learning rate and a seed, on a set of features. Draws docs/census.png.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from benchmarks.lib.metrics import paired
from benchmarks.lib.results_store import read
from benchmarks.lib.study import Study, launch, parser_of
from benchmarks.papers import census_fits
from benchmarks.papers.census_fits import TASKS, Cell, Data
from benchmarks.papers.mmoe_networks import STRUCTURES
from mtl_seq.report.render.plot_bias import save

FIGURE = Path(__file__).parents[2] / "docs" / "census.png"
FEATURE_SETS: Mapping[str, list[str]] = {"all": [], "without household": ["--without-household"]}
RATES = (1e-3, 3e-3)
TUNING_SEED = 1000
REFERENCE = {"income": 0.926, "never_married": 0.989}
RULE = "least mean of the two tasks' log losses on the validation rows, a tenth of the train part"
BOOSTING = "gradient boosting"
Records = Mapping[Cell, Mapping[str, Any]]


def best_rates(records: Records) -> dict[str, float]:
    """Learning rate with the least validation loss, by structure."""
    tuned = [(c, record["validation"]) for c, record in records.items() if c.seed == TUNING_SEED]
    return {
        name: min((loss, c.rate) for c, loss in tuned if c.structure == name)[1]
        for name in STRUCTURES
    }


def kept_cells(result: str | Path = "census") -> pd.DataFrame:
    """Kept cells under the chosen learning rates."""
    frame = read(result).frame()
    return frame[frame["seed"] != TUNING_SEED]


def table(frame: pd.DataFrame, features: str) -> pd.DataFrame:
    """AUC ± standard deviation, and the paired difference to the shared bottom ± standard error."""
    cells = frame[frame["features"] == features].set_index(["structure", "seed"]).sort_index()
    names = (*STRUCTURES, BOOSTING)
    columns: dict[str, list[str]] = {}
    for task in TASKS:
        area = cells[f"AUC, {task}"]
        spread = {name: f" ± {area[name].std():.4f}" for name in STRUCTURES}
        columns[f"AUC, {task}"] = [f"{area[n].mean():.4f}{spread.get(n, '')}" for n in names]
        columns[f"{task}, minus shared bottom"] = [
            "" if name in ("shared bottom", BOOSTING)
            else paired(area, name, "shared bottom").text()
            for name in names
        ]  # fmt: skip
    return pd.DataFrame(columns, index=names)


def sizes(frame: pd.DataFrame, parameters: Mapping[str, int]) -> pd.DataFrame:
    """Parameters, chosen learning rate and best epochs by structure."""
    groups = frame[frame["features"] == "all"].dropna().groupby("structure")
    columns = {
        "parameters of bottom and towers": pd.Series(parameters),
        "learning rate": groups["rate"].first(),
        "epochs kept": groups["epoch"].agg(lambda x: ", ".join(str(int(e) + 1) for e in x)),
    }
    return pd.DataFrame(columns).loc[list(STRUCTURES)]


def references(frame: pd.DataFrame) -> pd.DataFrame:
    """MMoE's AUC beside the reference."""
    mmoe = frame[(frame["features"] == "all") & (frame["structure"] == "MMoE")]
    rows = {}
    for task, reference in REFERENCE.items():
        area = mmoe[f"AUC, {task}"].mean()
        reached = "yes" if area >= reference else "**no**"
        rows[task] = {"reference": reference, "MMoE": f"{area:.4f}", "reached": reached}
    return pd.DataFrame(rows).T


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw the AUC of both tasks, a point per seed."""
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots(1, 2)
    areas = frame[frame["features"] == "all"].groupby("structure")
    for panel, task in zip(axes, TASKS, strict=True):
        for k, name in enumerate(STRUCTURES):
            ys = areas.get_group(name)[f"AUC, {task}"]
            panel.scatter([k] * len(ys), ys, color="#0072B2", alpha=0.5, s=24)
            panel.hlines(np.mean(ys), k - 0.25, k + 0.25, color="#222222")
        boosting = areas.get_group(BOOSTING)[f"AUC, {task}"].iloc[0]
        panel.axhline(boosting, color="#E69F00", ls="--", label=BOOSTING)
        panel.axhline(REFERENCE[task], color="#5B5B5B", ls=":", label="reference")
        panel.set_xticks(range(len(STRUCTURES)), list(STRUCTURES), rotation=25, ha="right")
        panel.set_title(task.replace("_", " "), fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("AUC, complete test part")
    axes[1].legend(frameon=False, fontsize=8)
    figure.suptitle("Census-Income, 32 nominal features: a point a seed, a line the mean", y=1.0)
    save(figure, path)


@cache
def data(raw: Path, features: str) -> Data:
    """Both parts of a set of features."""
    return census_fits.read(raw, FEATURE_SETS[features])


def fit(raw: Path, epochs: int, cell: Cell) -> dict[str, Any]:
    """Metrics of a cell."""
    torch.set_num_threads(1)
    if cell.structure == BOOSTING:
        return census_fits.boosted(data(raw, cell.features), cell)
    return census_fits.fit_and_measure(data(raw, cell.features), cell, epochs=epochs)


def run(given: argparse.Namespace) -> None:
    """Choose the learning rates, then fit every structure under every seed."""
    study = Study(
        f"python -m benchmarks.papers.census RAW --seeds {given.seeds} --epochs {given.epochs}",
        Cell, partial(fit, given.raw, given.epochs), {"epochs": given.epochs}, given.out,
        metadata={
            "checkpoint_rule": RULE,
            "spaces": "AUC and log loss on the complete test part",
            "parameters of bottom and towers": census_fits.equal_parameters(
                data(given.raw, "all")
            ),
        },
        shown=[f"AUC, {task}" for task in TASKS],
    )  # fmt: skip
    tuning = partial(Cell, "all", seed=TUNING_SEED)
    tuned = [tuning(structure=s, rate=r) for s in STRUCTURES for r in RATES]
    records = study.run(tuned, given.workers)
    rates = best_rates(records)
    cells = [Cell(features, BOOSTING, 0.1, 0) for features in FEATURE_SETS]
    cells += [
        Cell(features, structure, rate, seed)
        for features in FEATURE_SETS
        for seed in range(given.seeds)
        for structure, rate in rates.items()
    ]
    study.run(cells, given.workers)


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "census", seeds=3, raw=True)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    if given.raw and not given.table:
        run(given)
    frame = kept_cells(given.out)
    for features in frame["features"].unique():
        print(table(frame, features).to_string())
    draw(frame, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
