"""Repeat the synthetic study of the MMoE paper (Ma et al., KDD 2018, sections 3 and 5.1).

    python -m benchmarks.papers.mmoe [--seeds 20] [--steps 3000]

Shared bottom, OMoE, MMoE and single-task networks of equal size, on two regression tasks whose
weights have cosine p. Every step draws fresh rows, so that nothing can be overfitted. All
networks of a structure, one per p and seed, are trained at once as one stack of matrices: their
losses are summed and Adam works elementwise, so that they are independent. The learning rate of
each structure is chosen on separate seeds. Draws docs/mmoe_study_*.png.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

from benchmarks.lib.results_store import Result, path_of, rounded, write
from benchmarks.papers.mmoe_figures import draw
from benchmarks.papers.mmoe_networks import parameters, widths
from benchmarks.papers.mmoe_training import COSINES, EVERY, FEATURES, gate_distance, start, train
from mtl_seq.experiments.compare import versions

DOCS = Path(__file__).parents[2] / "docs"
STRUCTURES = ("single task", "shared bottom", "OMoE", "MMoE")
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
TUNING_SEEDS = (1000, 1001, 1002)
GAP = "minus shared bottom, 95% interval"


def tuned(sizes: dict[str, int], steps: int) -> dict[str, float]:
    """Learning rate with the least mean test loss over all p, on the tuning seeds, by structure."""
    keys = [(name, rate) for name in STRUCTURES for rate in RATES]
    stacks = {key: start(key[0], sizes[key[0]], TUNING_SEEDS) for key in keys}
    curves = train(stacks, {key: key[1] for key in keys}, TUNING_SEEDS, steps)
    final = {key: float(np.nan_to_num(curve[-1], nan=1e9).mean()) for key, curve in curves.items()}
    return {name: min(RATES, key=lambda rate: final[name, rate]) for name in STRUCTURES}


def interval(difference: np.ndarray) -> list[float]:
    """Mean of paired differences with its 95% t interval."""
    n = len(difference)
    half = float(student.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    mean = float(difference.mean())
    return [round(value, 4) for value in (mean, mean - half, mean + half)]


def steps_to(curve: np.ndarray, target: float) -> np.ndarray:
    """First step ``(seeds,)`` at which the test loss is at most `target`; NaN where never."""
    reached = curve <= target
    first = reached.argmax(0) * float(EVERY)
    return np.where(reached.any(0), first, np.nan)


def summary(curves: dict[str, np.ndarray], distance: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per p and structure."""
    rows = []
    for index, p in enumerate(COSINES):
        # The shared bottom's final loss in the median seed.
        target = float(np.median(curves["shared bottom"][-1, index]))
        for name, curve in curves.items():
            final = curve[-1, index]
            needed = steps_to(curve[:, index], target)
            row = {
                "cosine": p,
                "structure": name,
                "mean": round(float(final.mean()), 4),
                "standard deviation": round(float(final.std(ddof=1)), 4),
                "90th percentile": round(float(np.quantile(final, 0.9)), 4),
                "worst": round(float(final.max()), 4),
                GAP: interval(final - curves["shared bottom"][-1, index]),
                "seeds that reach the shared bottom's median": int(np.isfinite(needed).sum()),
                "median steps to it": None
                if np.isnan(needed).mean() > 0.5
                else float(np.nanmedian(np.where(np.isnan(needed), np.inf, needed))),
            }
            if name == "MMoE":
                for when, values in distance.items():
                    row[f"gate distance, {when}"] = round(float(values[index].mean()), 4)
                row["gate distance, end, standard deviation"] = round(
                    float(distance["end"][index].std(ddof=1)), 4
                )
            rows.append(row)
    return rows


def table(result: Result) -> pd.DataFrame:
    """Final losses by p and structure."""
    columns = {
        "p": "cosine", "structure": "structure", "mean final loss": "mean",
        "standard deviation": "standard deviation", "90th percentile": "90th percentile",
        "worst": "worst", "minus shared bottom (95%)": GAP,
    }  # fmt: skip

    def cell(row: dict[str, Any], name: str) -> str:
        value = row[name]
        if name == GAP:
            mean, low, high = value
            alone = row["structure"] == "shared bottom"
            return "" if alone else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
        return (
            f"{value:g}" if name == "cosine" else value if name == "structure" else f"{value:.2f}"
        )

    rows = [{title: cell(row, name) for title, name in columns.items()} for row in result.cells]
    return pd.DataFrame(rows).set_index("p")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--tuning-steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=path_of("mmoe"))
    parser.add_argument("--figures", type=Path, default=DOCS, help="folder")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    begin = time.perf_counter()
    sizes, seeds = {name: widths(FEATURES)[name] for name in STRUCTURES}, range(given.seeds)
    rates = tuned(sizes, given.tuning_steps)
    print("learning rates:", rates, f"{time.perf_counter() - begin:.0f} s", flush=True)
    stacks = {name: start(name, sizes[name], seeds) for name in STRUCTURES}
    distance = {"start": gate_distance(stacks["MMoE"], seeds)}
    curves = train(stacks, rates, seeds, given.steps)
    distance["end"] = gate_distance(stacks["MMoE"], seeds)
    rows = summary(curves, distance)
    metadata = {
        "command": f"python -m benchmarks.papers.mmoe --seeds {given.seeds} "
        f"--steps {given.steps} --tuning-steps {given.tuning_steps}",
        "versions": versions(),
        "parameters": {name: parameters(FEATURES, name, size) for name, size in sizes.items()},
        "widths": sizes,
        "learning rates": rates,
        "seconds": round(time.perf_counter() - begin),
    }
    write(given.out, metadata, rounded(rows))
    print(pd.DataFrame(rows).to_string())
    draw(curves, distance, given.figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
