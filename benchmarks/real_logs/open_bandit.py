"""Estimate a random policy's CTR from another policy's log, beside the CTR that it had.

    python -m benchmarks.real_logs.open_bandit RAW

In Open Bandit two policies are at work at the same time, and the log states the probability with
which each item was shown. The CTR of items shown at random is estimated from the log of Thompson
sampling alone, and was also measured. RAW is the folder of the original files; see
datasets/open-bandit/CARD.md. Draws docs/open_bandit.png.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.lib.datasets import converted
from benchmarks.lib.results_store import Result, path_of, read, write
from mtl_seq.experiments.compare import versions
from mtl_seq.functional import effective_sample_size
from mtl_seq.report.render.plot_bias import save

FIGURE = Path(__file__).parents[2] / "docs" / "open_bandit.png"
SMOOTHING, FOLDS = 100.0, 5
FloatArray = NDArray[np.float64]


class Rows(NamedTuple):
    """Inputs of the estimators, ``(N,)`` each.

    Attributes:
        click: Clicks, 0 or 1.
        weight: Probability under the random policy over that under the logging policy.
        imputed: Click probability of the item shown.
        imputed_random: Mean click probability of all items: of one shown at random.
    """

    click: FloatArray
    weight: FloatArray
    imputed: FloatArray
    imputed_random: FloatArray


def rows_of(log: pd.DataFrame, items: int, seed: int) -> Rows:
    """Weights from the logged probabilities; imputations from the other folds' clicks."""
    click = log["click"].to_numpy(dtype=np.float64)
    item = log["item_id"].to_numpy()
    fold = np.random.default_rng(seed).integers(FOLDS, size=len(log))
    rates = np.empty((FOLDS, items))
    for index in range(FOLDS):
        others = fold != index
        shown = np.bincount(item[others], minlength=items)
        clicked = np.bincount(item[others], click[others], minlength=items)
        rates[index] = (clicked + SMOOTHING * click[others].mean()) / (shown + SMOOTHING)
    weight = 1 / items / log["action_propensity"].to_numpy()
    return Rows(click, weight, rates[fold, item], rates.mean(1)[fold])


def estimates(rows: Rows) -> dict[str, float]:
    """The random policy's CTR by estimator."""
    click, weight, imputed, random = rows
    residual = weight * (click - imputed)
    return {
        "naive": float(click.mean()),
        "IPS": float((weight * click).mean()),
        "SNIPS": float((weight * click).sum() / weight.sum()),
        "direct": float(random.mean()),
        "DR": float((random + residual).mean()),
        "self-normalised DR": float(random.mean() + residual.sum() / weight.sum()),
    }


def study(logs: Mapping[str, pd.DataFrame], replicates: int, seed: int) -> Result:
    """Estimates and the measured CTR with 95% bootstrap intervals."""
    items = int(logs["random"]["item_id"].nunique())
    rng = np.random.default_rng(seed)
    truth = logs["random"]["click"].to_numpy(dtype=np.float64)
    rows = rows_of(logs["bts"], items, seed)
    draws: dict[str, list[float]] = {name: [] for name in (*estimates(rows), "truth")}
    for _ in range(replicates):
        resampled = logs["bts"].iloc[rng.integers(len(rows.click), size=len(rows.click))]
        for name, value in estimates(rows_of(resampled, items, seed)).items():
            draws[name].append(value)
        draws["truth"].append(float(truth[rng.integers(len(truth), size=len(truth))].mean()))
    point = {**estimates(rows), "truth": float(truth.mean())}
    cells = []
    for name, value in point.items():
        low, high = np.quantile(draws[name], [0.025, 0.975])
        error = (np.array(draws[name]) - draws["truth"]).std()
        gap = 0.0 if name == "truth" else float((value - point["truth"]) / error)
        cells.append(
            {
                "estimator": name,
                "CTR": round(value, 6),
                "low": round(float(low), 6),
                "high": round(float(high), 6),
                "relative error": round(value / point["truth"] - 1, 4),
                "gap to the truth in standard errors": round(gap, 2),
            }
        )
    metadata = {
        "clicks": {name: int(log["click"].sum()) for name, log in logs.items()},
        "rows": {name: len(log) for name, log in logs.items()},
        "largest weight": round(float(rows.weight.max()), 1),
        "mean weight": round(float(rows.weight.mean()), 4),
        "effective rows": round(float(effective_sample_size(rows.weight)), 1),
    }
    return Result(metadata, cells)


def table(result: Result) -> pd.DataFrame:
    """Estimates with their intervals as text, the measured CTR last."""
    rows = {}
    for cell in result.cells:
        truth = cell["estimator"] == "truth"
        gap = cell["gap to the truth in standard errors"]
        rows["measured" if truth else cell["estimator"]] = {
            "CTR, %": f"{100 * cell['CTR']:.3f}",
            "95%": f"{100 * cell['low']:.3f} to {100 * cell['high']:.3f}",
            "relative error": "" if truth else f"{cell['relative error']:+.0%}",
            "distance to the truth, standard errors": "" if truth else f"{gap:+.1f}",
        }
    return pd.DataFrame(rows).T


def draw(result: Result, path: Path) -> None:
    """Draw estimates and intervals beside the measured CTR."""
    estimates = result.frame("estimator")
    figure = Figure(figsize=(7, 3.2))
    panel = figure.subplots()
    truth = estimates.loc["truth"]
    panel.axvspan(
        100 * truth["low"], 100 * truth["high"], color="#E69F00", alpha=0.25, lw=0,
        label="shown at random, measured (95%)",
    )  # fmt: skip
    panel.axvline(100 * truth["CTR"], color="#E69F00")
    names = estimates.index.drop("truth")
    for place, name in enumerate(names):
        row = estimates.loc[name]
        panel.plot([100 * row["low"], 100 * row["high"]], [place, place], color="#0072B2")
        panel.plot(100 * row["CTR"], place, "o", color="#0072B2")
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.set_xlabel("CTR were items shown at random, %; from the log of Thompson sampling")
    panel.legend(frameon=False, fontsize=8, loc="lower right")
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("raw", type=Path, nargs="?", help="folder of the original files")
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=path_of("open_bandit"))
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    if given.raw:
        with converted("open-bandit", given.raw) as folder:
            logs = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("bts", "random")}
        estimated = study(logs, given.replicates, given.seed)
        metadata: dict[str, Any] = {
            "command": "python -m benchmarks.real_logs.open_bandit RAW",
            "versions": versions(),
            "settings": {
                "replicates": given.replicates,
                "seed": given.seed,
                "smoothing": SMOOTHING,
            },
            "spaces": "all impressions",
        }
        write(given.out, metadata | estimated.metadata, estimated.cells)
    result = read(given.out)
    print(table(result).to_string())
    draw(result, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
