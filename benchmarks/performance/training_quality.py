"""Whether what is faster is as good: row-wise optimisers and bfloat16, against dense float32.

    python benchmarks/performance/training_quality.py [--raw RAW] [--rows 200000] [--seeds 5]

ESMM on MMoE with the estimator's defaults but for what is compared. Scenarios: `dense`, `sparse` and
`cvr_blind`, whose truth is known, on all impressions of a fresh test log; and, with the folder RAW
of its original files, KuaiRand-Pure (`long_view`), on its later days against what was observed.
Each optimiser has its learning rate chosen first: of those in RATES the one with the least log loss
of CTR plus that of CTCVR on a seed of its own. Then every variant is fitted under the same seeds,
and what is compared is the difference to dense Adam in float32, seed by seed.

Fits are kept one at a time in benchmarks/results/speed_quality.json, so that an interrupted run
goes on where it stopped; `--table` fits nothing and prints what there is.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from study import passes_of

from mtl_seq import FunnelEstimator, Schema, models, simulate
from mtl_seq._files import atomic_path
from mtl_seq.data import read_frame
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import DenseAdam, RowWiseAdagrad, RowWiseAdam
from mtl_seq.functional import auc

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "kuairand-pure" / "convert.py"
RESULT = Path(__file__).parent / "results" / "speed_quality.json"
WORLDS = ("dense", "sparse", "cvr_blind")
TUNING_SEED = 100
LR = 5e-3
Settings = dict[str, Any]
# Dense Adam has one learning rate for all; the others keep it for what is no table.
RATES: Mapping[str, Mapping[float, Settings]] = {
    "dense Adam": {lr: {"lr": lr, "optimizer": DenseAdam()} for lr in (2.5e-3, 5e-3, 1e-2)},
    "row-wise Adagrad": {r: {"optimizer": RowWiseAdagrad(rate=r)} for r in (3.0, 10.0, 30.0)},
    "row-wise Adam": {r: {"optimizer": RowWiseAdam(rate=r)} for r in (0.3, 1.0, 3.0)},
}
BASE = ("dense Adam", "float32")
COMPARED = [BASE, ("row-wise Adagrad", "float32"), ("row-wise Adam", "float32")]
COMPARED += [("dense Adam", "bfloat16"), ("row-wise Adagrad", "bfloat16")]
HIGHER = ("AUC",)
Rows = tuple[pd.DataFrame, pd.DataFrame, Schema, Callable[[pd.DataFrame], dict[str, float]]]


def simulated(name: str, rows: int, seed: int) -> Rows:
    """A log to fit and one to test on, held to the truth on all impressions."""
    scenario = simulate.scenario(name, seed=seed)
    log, _ = scenario.sample(rows, np.random.default_rng([seed, 1]))
    test, truth = scenario.sample(rows // 4, np.random.default_rng([seed, 2]))
    targets = {"CTR": truth.pctr, "CVR": truth.pcvr, "CTCVR": truth.pctcvr}

    def measure(scores: pd.DataFrame) -> dict[str, float]:
        figures = {}
        for stage, target in targets.items():
            figures |= both(f"{stage}, all", scores[f"p{stage.lower()}"].to_numpy(), target)
        return figures

    return log, test, scenario.schema, measure


def kuairand(raw: Path) -> Rows:
    """The real log, held to what was observed: all impressions, and clicks for CVR."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, str(CONVERT), str(raw), str(out), "--conversion", "long_view"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        schema = Schema.from_json(out / "schema.json")
        train, test = read_frame(out / "train.parquet"), read_frame(out / "test.parquet")
    click, conversion = (test[schema.labels[s]].to_numpy() for s in ("click", "conversion"))
    clicked = click == 1

    def measure(scores: pd.DataFrame) -> dict[str, float]:
        pctr, pcvr, pctcvr = (scores[name].to_numpy() for name in ("pctr", "pcvr", "pctcvr"))
        return {
            **both("CTR, all", pctr, click),
            **both("CVR, clicks", pcvr[clicked], conversion[clicked]),
            **both("CTCVR, all", pctcvr, conversion),
        }

    return train, test, schema, measure


def both(name: str, found: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """AUC and log loss of a probability against labels or true probabilities."""
    safe = np.clip(found.astype(np.float64), 1e-12, 1 - 1e-12)
    loss = -(target * np.log(safe) + (1 - target) * np.log1p(-safe))
    area = auc(torch.from_numpy(safe), torch.from_numpy(target.astype(np.float64)))
    return {f"AUC, {name}": float(area), f"log loss, {name}": float(loss.mean())}


def fit(rows: Rows, settings: Settings, seed: int) -> dict[str, float]:
    """Fit, predict and measure."""
    log, test, schema, measure = rows
    start = time.process_time()
    estimator = FunnelEstimator(
        models.esmm, schema, epochs=passes_of(len(log)), seed=seed, **{"lr": LR, **settings}
    ).fit(log)
    seconds = time.process_time() - start
    return {**measure(estimator.predict(test)), "seconds of processor": seconds}


def choose(cells: Mapping[str, dict[str, float]], scenario: str, optimizer: str) -> float | None:
    """The rate with the least log loss under the seed for tuning; None while some are not run."""
    found = {}
    for rate in RATES[optimizer]:
        cell = cells.get(key(scenario, optimizer, "float32", rate, TUNING_SEED))
        if cell is None:
            return None
        found[rate] = cell["log loss, CTR, all"] + cell["log loss, CTCVR, all"]
    return min(found, key=lambda rate: found[rate])


def key(scenario: str, optimizer: str, precision: str, rate: float, seed: int) -> str:
    return f"{scenario} | {optimizer} | {precision} | {rate} | {seed}"


def table(cells: Mapping[str, dict[str, float]], scenarios: list[str], seeds: int) -> pd.DataFrame:
    """Differences to the base, seed by seed: their mean, standard error and a verdict."""
    lines = []
    for scenario in scenarios:
        for optimizer, precision in COMPARED:
            rate, base_rate = choose(cells, scenario, optimizer), choose(cells, scenario, BASE[0])
            if rate is None or base_rate is None:
                continue
            pairs = [
                (
                    cells.get(key(scenario, optimizer, precision, rate, seed)),
                    cells.get(key(scenario, *BASE, base_rate, seed)),
                )
                for seed in range(seeds)
            ]
            there = [(one, base) for one, base in pairs if one and base]
            if len(there) < 2:
                continue
            for figure in there[0][0]:
                if not figure.startswith(("AUC", "log loss")):
                    continue
                sign = 1 if figure.startswith(HIGHER) else -1
                gain = np.array([sign * (one[figure] - base[figure]) for one, base in there])
                error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
                lines.append(
                    {
                        "scenario": scenario,
                        "optimiser": optimizer,
                        "precision": precision,
                        "rate": rate,
                        "figure": figure,
                        "value": round(float(np.mean([one[figure] for one, _ in there])), 5),
                        "better by": round(float(gain.mean()), 6),
                        "standard error": round(error, 6),
                        "seeds": len(gain),
                        "as good": bool(gain.mean() >= -error),
                    }
                )
    return pd.DataFrame(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, help="KuaiRand-Pure's original files")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenarios", nargs="+", default=[*WORLDS, "kuairand"])
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="fit nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    content = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {"cells": {}}
    cells: dict[str, dict[str, float]] = content["cells"]
    scenarios = [w for w in given.scenarios if w != "kuairand" or given.raw or given.table]

    def keep(name: str, run: Callable[[], dict[str, float]]) -> None:
        if name in cells or given.table:
            return
        cells[name] = {k: round(v, 6) for k, v in run().items()}
        print(name, cells[name], flush=True)
        write(given, cells, scenarios)

    drawn: dict[tuple[str, int], Rows] = {}

    def rows_of(scenario: str, seed: int) -> Rows:
        at = (scenario, 0 if scenario == "kuairand" else seed)
        if at not in drawn:
            for other in [one for one in drawn if one[0] != "kuairand"]:
                del drawn[other]
            made = (
                kuairand(given.raw)
                if scenario == "kuairand"
                else simulated(scenario, given.rows, seed)
            )
            drawn[at] = made
        return drawn[at]

    for scenario in scenarios:
        for optimizer, rates in RATES.items():
            for rate, settings in rates.items():
                name = key(scenario, optimizer, "float32", rate, TUNING_SEED)
                keep(name, partial(one_fit, rows_of, scenario, settings, TUNING_SEED))
    for seed in range(given.seeds):
        for scenario in scenarios:
            for optimizer, precision in COMPARED:
                rate = choose(cells, scenario, optimizer)
                if rate is None:
                    continue
                settings = {**RATES[optimizer][rate], "precision": precision}
                name = key(scenario, optimizer, precision, rate, seed)
                keep(name, partial(one_fit, rows_of, scenario, settings, seed))
    write(given, cells, scenarios)
    print(table(cells, scenarios, given.seeds).to_string(index=False))
    return 0


def one_fit(
    rows_of: Callable[[str, int], Rows], scenario: str, settings: Settings, seed: int
) -> dict[str, float]:
    return fit(rows_of(scenario, seed), settings, seed)


def write(given: argparse.Namespace, cells: dict[str, Any], scenarios: list[str]) -> None:
    compared = table(cells, scenarios, given.seeds)
    content = {
        "command": f"python benchmarks/performance/training_quality.py --raw RAW --rows {given.rows} "
        f"--seeds {given.seeds}",
        "versions": versions(),
        "model": "esmm on MMoE, estimator defaults",
        "tuning seed": TUNING_SEED,
        "compared": compared.to_dict("records"),
        "cells": cells,
    }
    with atomic_path(given.out) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
