"""Debiased CVR models on Coat's self-selected ratings.

    python benchmarks/real_logs/coat.py RAW [--seeds 5]

A pair of user and item is the impression, being chosen to be rated the click, a rating of 3 or more
the conversion. Models make two passes. A fifth of all pairs is held out, anew for each seed and the
same for every model. Figures are on the held-out ratings: as they are, and weighted by the inverse
of the propensities that come with the data, which stands for all pairs if those are right. Where
RAW holds test.ascii, the ratings of random items, the models are measured on these too. See
datasets/coat/CARD.md. A cell is a model under a seed; finished cells are kept in
benchmarks/results/coat.json. The figure is docs/coat.png.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from cells import keep, kept
from matplotlib.figure import Figure

from mtl_seq import FunnelEstimator, Schema, models
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.functional import auc, ips_auc, snips_log_loss
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "coat" / "convert.py"
RESULT = Path(__file__).parent / "results" / "coat.json"
FIGURE = ROOT / "docs" / "coat.png"
PASSES = 2
HELD = 0.2
# Whether the propensities that come with the data are handed to the loss, else it has pCTR.
MODELS: Mapping[str, tuple[Builder, bool]] = {
    "click_space": (models.click_space, False),
    "multitask": (models.multitask, False),
    "esmm": (models.esmm, False),
    "ips, given propensities": (models.ips, True),
    "ips, own": (models.ips, False),
    "snips, given propensities": (models.snips, True),
    "dr_jl, given propensities": (models.dr_jl, True),
    "dr_jl, own": (models.dr_jl, False),
    "mrdr, given propensities": (models.mrdr, True),
    "mrdr, own": (models.mrdr, False),
}
CONSTANT = "constant"
SHOWN = ["AUC, clicks", "log loss, clicks", "AUC, weighted", "log loss, weighted"]
RANDOM = ["AUC, random", "log loss, random"]


class Cell(NamedTuple):
    """What is fitted once."""

    seed: int
    model: str


def fit_and_measure(
    cell: Cell, log: pd.DataFrame, random: pd.DataFrame | None, schema: Schema
) -> dict[str, Any]:
    """Fit on four fifths of the pairs; measure on the ratings among the rest."""
    held = np.random.default_rng([cell.seed, 1]).random(len(log)) < HELD
    train, test = log[~held], log[held]
    if cell.model == CONSTANT:
        rate = train.loc[train["click"] == 1, "conversion"].mean()
        pcvr = {name: np.full(len(f), rate) for name, f in (("held", test), ("random", random))
                if f is not None}  # fmt: skip
        mean = rate
    else:
        builder, given = MODELS[cell.model]
        roles = schema if given else replace(schema, propensity=None)
        estimator = FunnelEstimator(builder, roles, epochs=PASSES, seed=cell.seed).fit(train)
        pcvr = {"held": estimator.predict(test)["pcvr"].to_numpy()}
        if random is not None:
            pcvr["random"] = estimator.predict(random)["pcvr"].to_numpy()
        mean = float(pcvr["held"].mean())
    figures = {**measure(pcvr["held"], test), "mean pCVR, all": mean}
    if random is not None:
        label = random["conversion"].to_numpy(dtype=np.float64)
        figures |= {
            "AUC, random": area(pcvr["random"], label),
            "log loss, random": log_loss(pcvr["random"], label),
            "relative bias, random": float(pcvr["random"].mean() / label.mean() - 1),
        }
    return {**cell._asdict(), **{name: round(float(x), 5) for name, x in figures.items()}}


def measure(pcvr: np.ndarray, test: pd.DataFrame) -> dict[str, float]:
    """On held-out ratings, and weighted by inverse propensities for all pairs."""
    click, conversion, propensity = (
        test[column].to_numpy(dtype=np.float64) for column in ("click", "conversion", "propensity")
    )
    rated = click == 1
    weight = click / propensity
    return {
        "AUC, clicks": area(pcvr[rated], conversion[rated]),
        "log loss, clicks": log_loss(pcvr[rated], conversion[rated]),
        "AUC, weighted": float(ips_auc(pcvr, conversion, click, propensity)),
        "log loss, weighted": float(snips_log_loss(pcvr, conversion, click, propensity)),
        "mean CVR, clicks": float(conversion[rated].mean()),
        "mean CVR, weighted": float((weight * conversion).sum() / weight.sum()),
    }


def area(score: np.ndarray, label: np.ndarray) -> float:
    return float(auc(torch.from_numpy(score.copy()), torch.from_numpy(label.copy())))


def log_loss(p: np.ndarray, label: np.ndarray) -> float:
    safe = np.clip(p, 1e-12, 1 - 1e-12)
    return float(-(label * np.log(safe) + (1 - label) * np.log1p(-safe)).mean())


def summary(cells: Mapping[Cell, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean over seeds, and the mean difference to the naive model, seed by seed."""
    frame = pd.DataFrame(cells.values()).set_index("seed")
    naive = frame[frame["model"] == "click_space"]
    columns = [*SHOWN, *(column for column in RANDOM if column in frame)]
    rows = []
    for name in (CONSTANT, *MODELS):
        own = frame[frame["model"] == name]
        row: dict[str, Any] = {"model": name, "seeds": len(own)}
        for column in columns:
            gap = own[column] - naive[column]
            row[column] = round(own[column].mean(), 5)
            row[f"{column}, minus naive"] = round(gap.mean(), 5)
            row[f"{column}, minus naive, error"] = round(gap.std() / np.sqrt(len(gap)), 5)
        row["mean pCVR, all"] = round(own["mean pCVR, all"].mean(), 5)
        rows.append(row)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """What a model gains over the naive one, on ratings as they are and weighted."""
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots(1, 2, sharey=True)
    shown = [row for row in rows if row["model"] not in (CONSTANT, "click_space")]
    for panel, column in zip(axes, ("log loss, clicks", "log loss, weighted"), strict=True):
        for place, row in enumerate(shown):
            gap, error = (row[f"{column}, minus naive{end}"] for end in ("", ", error"))
            panel.plot([gap - 2 * error, gap + 2 * error], [place, place], color="#0072B2")
            panel.plot(gap, place, "o", color="#0072B2")
        panel.axvline(0, color="#5B5B5B", ls=":")
        panel.set_title(column, fontsize=10)
        panel.set_xlabel("minus that of click_space; left is better")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(shown)), [row["model"] for row in shown])
    axes[0].invert_yaxis()
    figure.suptitle(
        "Coat, held-out chosen ratings: mean difference and two standard errors", y=1.04
    )
    save(figure, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(CONVERT), str(given.raw), folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        schema = Schema.from_json(Path(folder) / "schema.json")
        log = pd.read_parquet(Path(folder) / "log.parquet")
        path = Path(folder) / "test.parquet"
        random = pd.read_parquet(path) if path.exists() else None
    settings = {"seeds": given.seeds, "random ratings": random is not None}
    cells = kept(given.out, Cell, settings)
    said = {
        "checkpoint_rule": CHECKPOINT_RULE,
        "spaces": "clicks: held-out ratings; weighted: the same, for all pairs, if the "
        "propensities that come with the data are right; random: ratings of random items",
    }
    line = f"python benchmarks/real_logs/coat.py RAW --seeds {given.seeds}"
    for seed in range(given.seeds):
        for model in (CONSTANT, *MODELS):
            cell = Cell(seed, model)
            if cell not in cells:
                cells[cell] = fit_and_measure(cell, log, random, schema)
                keep(given.out, line, settings, cells, **said)
                print(cells[cell], flush=True)
    rows = summary(cells)
    keep(given.out, line, settings, cells, rows=rows, **said)
    print(pd.DataFrame(rows).T.to_string())
    draw(rows, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
