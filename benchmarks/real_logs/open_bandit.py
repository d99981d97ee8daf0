"""Estimates of a random policy's CTR from another policy's log, held to the random policy's own.

    python benchmarks/real_logs/open_bandit.py RAW

Open Bandit has two policies at work at the same time, and the probability with which each item was
shown. What the CTR would be were items shown at random is estimated from the log of Thompson
sampling alone, and was also measured. RAW is the folder of the original files; see
datasets/open-bandit/CARD.md. The result is benchmarks/results/open_bandit.json, the figure
docs/open_bandit.png.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mtl_seq.experiments.compare import versions
from mtl_seq.functional import effective_sample_size
from mtl_seq.report.render.plot_bias import save

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "open-bandit" / "convert.py"
RESULT = Path(__file__).parent / "results" / "open_bandit.json"
FIGURE = ROOT / "docs" / "open_bandit.png"
SMOOTHING, FOLDS = 100.0, 5
FloatArray = NDArray[np.float64]


class Rows(NamedTuple):
    """A log as the estimators see it, ``(N,)`` each.

    Attributes:
        click: Clicks, 0 or 1.
        weight: Probability under the random policy over that under the policy that was at work.
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
    """The random policy's CTR, by each estimator."""
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


def study(logs: Mapping[str, pd.DataFrame], replicates: int, seed: int) -> dict[str, Any]:
    """Estimates with 95% bootstrap intervals, and the truth with its own."""
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
    table = {}
    for name, value in point.items():
        low, high = np.quantile(draws[name], [0.025, 0.975])
        gap = np.array(draws[name]) - draws["truth"]
        table[name] = {
            "CTR": round(value, 6),
            "low": round(float(low), 6),
            "high": round(float(high), 6),
            "relative error": round(value / point["truth"] - 1, 4),
            "gap to the truth in standard errors": round(
                float((value - point["truth"]) / gap.std()) if name != "truth" else 0.0, 2
            ),
        }
    return {
        "estimates": table,
        "clicks": {name: int(log["click"].sum()) for name, log in logs.items()},
        "rows": {name: len(log) for name, log in logs.items()},
        "largest weight": round(float(rows.weight.max()), 1),
        "mean weight": round(float(rows.weight.mean()), 4),
        "effective rows": round(float(effective_sample_size(rows.weight)), 1),
    }


def draw(table: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Estimates and intervals against the truth's."""
    figure = Figure(figsize=(7, 3.2))
    panel = figure.subplots()
    truth = table["truth"]
    panel.axvspan(
        100 * truth["low"], 100 * truth["high"], color="#E69F00", alpha=0.25, lw=0,
        label="shown at random, measured (95%)",
    )  # fmt: skip
    panel.axvline(100 * truth["CTR"], color="#E69F00")
    names = [name for name in table if name != "truth"]
    for place, name in enumerate(names):
        row = table[name]
        panel.plot([100 * row["low"], 100 * row["high"]], [place, place], color="#0072B2")
        panel.plot(100 * row["CTR"], place, "o", color="#0072B2")
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.set_xlabel("CTR were items shown at random, %; from the log of Thompson sampling")
    panel.legend(frameon=False, fontsize=8, loc="lower right")
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(CONVERT), str(given.raw), folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        logs = {name: pd.read_parquet(f"{folder}/{name}.parquet") for name in ("bts", "random")}
    found = study(logs, given.replicates, given.seed)
    result = {
        "command": "python benchmarks/real_logs/open_bandit.py RAW",
        "versions": versions(),
        "settings": {"replicates": given.replicates, "seed": given.seed, "smoothing": SMOOTHING},
        "spaces": "all impressions",
        **found,
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(pd.DataFrame(found["estimates"]).T.to_string())
    print({name: value for name, value in found.items() if name != "estimates"})
    draw(found["estimates"], given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
