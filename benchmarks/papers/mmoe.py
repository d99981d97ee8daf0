"""The synthetic study of the MMoE paper (Ma et al., KDD 2018, sections 3 and 5.1), repeated.

Shared bottom, OMoE, MMoE and separate networks with as many parameters as each other, on two
regression tasks whose weights have cosine p. Every step draws fresh rows, so that nothing can be
overfitted. All networks of a structure, one for each p and seed, are trained at once as one stack
of matrices: their losses add up and Adam works elementwise, so that none knows of another. The
learning rate of each structure is chosen on seeds of its own.

    python benchmarks/papers/mmoe.py [--seeds 20] [--steps 3000]

The result is kept in benchmarks/results/mmoe_study.json, the figures in docs/mmoe_study_*.png.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mmoe_study_figures import draw
from mmoe_study_networks import STRUCTURES, Network, count, widths
from mmoe_study_training import COSINES, EVERY, gate_distance, start, train
from scipy.stats import t as student

from mtl_seq.experiments.compare import versions

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "mmoe_study.json"
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
TUNING_SEEDS = (1000, 1001, 1002)


def tuned(sizes: dict[str, int], steps: int) -> dict[str, float]:
    """The learning rate of least mean test loss over all p, on the tuning seeds."""
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
    """``(seeds,)`` first step at which the test loss is at most `target`; NaN where never."""
    reached = curve <= target
    first = reached.argmax(0) * float(EVERY)
    return np.where(reached.any(0), first, np.nan)


def summary(curves: dict[str, np.ndarray], distance: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per p and structure."""
    rows = []
    for index, p in enumerate(COSINES):
        # What the shared bottom reaches at the end, in the median seed.
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
                "minus shared bottom, 95% interval": interval(
                    final - curves["shared bottom"][-1, index]
                ),
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--tuning-steps", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    sizes, seeds = widths(), range(given.seeds)
    parameters = {name: count(Network(STRUCTURES[name](sizes[name]))) for name in STRUCTURES}
    print("parameters:", parameters, "widths:", sizes, flush=True)
    rates = tuned(sizes, given.tuning_steps)
    print("learning rates:", rates, f"{time.perf_counter() - begin:.0f} s", flush=True)
    stacks = {name: start(name, sizes[name], seeds) for name in STRUCTURES}
    distance = {"start": gate_distance(stacks["MMoE"], seeds)}
    curves = train(stacks, rates, seeds, given.steps)
    distance["end"] = gate_distance(stacks["MMoE"], seeds)
    rows = summary(curves, distance)
    print(pd.DataFrame(rows).to_string())
    draw(curves, distance, ROOT / "docs")
    result = {
        "command": f"python benchmarks/papers/mmoe.py --seeds {given.seeds} --steps {given.steps} "
        f"--tuning-steps {given.tuning_steps}",
        "versions": versions(),
        "parameters": parameters,
        "widths": sizes,
        "learning rates": rates,
        "seconds": round(time.perf_counter() - begin),
        "rows": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
