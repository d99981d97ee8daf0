"""The Census-Income study of the MMoE paper (Ma et al., KDD 2018, section 6.2), group 1.

    python benchmarks/papers/census.py RAW [--seeds 3] [--epochs 4]

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
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from cells import keep, kept
from census_fits import (
    STRUCTURES,
    TASKS,
    Cell,
    Data,
    boosted,
    fit_and_measure,
    inputs_of,
    parameters,
    read,
    widths,
)
from matplotlib.figure import Figure

from mtl_seq.report.render.plot_bias import save

RESULT = Path(__file__).parent / "results" / "census.json"
FIGURE = Path(__file__).parents[1] / "docs" / "census.png"
FEATURE_SETS: Mapping[str, list[str]] = {"all": [], "without household": ["--without-household"]}
RATES = (1e-3, 3e-3)
TUNING_SEED = 1000
FLOOR = {"income": 0.926, "never_married": 0.989}
RULE = "least mean of the two tasks' log losses on the validation rows, a tenth of the train part"
BOOSTING = "gradient boosting"


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
    command = f"python benchmarks/papers/census.py RAW --seeds {settings['seeds']} "
    more |= {
        "checkpoint_rule": RULE,
        "spaces": "AUC and log loss on the complete test part",
        "parameters of bottom and towers": sizes,
    }
    keep(out, command + f"--epochs {settings['epochs']}", settings, cells, **more)


if __name__ == "__main__":
    sys.exit(main())
