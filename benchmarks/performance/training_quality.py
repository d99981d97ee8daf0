"""Compare the quality of row-wise optimisers and bfloat16 with dense Adam in float32.

    python -m benchmarks.performance.training_quality [RAW] [--seeds 5]

ESMM on MMoE with the estimator's defaults but for what is compared. Scenarios: `dense`, `sparse`
and `cvr_blind`, 200,000 rows, against the truth on all impressions of a new test log; and, with
the folder RAW of its original files, KuaiRand-Pure (`long_view`), on its later days against what
was observed. The learning rate of each optimiser is the one in RATES with the least log loss of
CTR plus that of CTCVR on a separate seed. Then every variant is fitted under the same seeds, and
differences to dense Adam in float32 are paired.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from benchmarks.lib.metrics import Pair, area, cross_entropy, pair_of
from benchmarks.lib.results_store import Result, read
from benchmarks.lib.study import Study, draw, epochs_of, launch, parser_of
from benchmarks.real_logs import kuairand_rows
from mtl_seq import FunnelEstimator, Schema, models, simulate
from mtl_seq.fit import DenseAdam, RowWiseAdagrad, RowWiseAdam

KUAIRAND = "kuairand"
SCENARIOS = ("dense", "sparse", "cvr_blind", KUAIRAND)
ROWS, TEST_ROWS = 200_000, 50_000
TUNING_SEED = 100
LR = 5e-3
# Dense Adam has one learning rate for all; the others have another for the tables.
RATES: Mapping[str, Mapping[float, Mapping[str, Any]]] = {
    "dense Adam": {lr: {"lr": lr, "optimizer": DenseAdam()} for lr in (2.5e-3, 5e-3, 1e-2)},
    "row-wise Adagrad": {r: {"optimizer": RowWiseAdagrad(rate=r)} for r in (3.0, 10.0, 30.0)},
    "row-wise Adam": {r: {"optimizer": RowWiseAdam(rate=r)} for r in (0.3, 1.0, 3.0)},
}
BASE = ("dense Adam", "float32")
VARIANTS = (
    ("row-wise Adagrad", "float32"), ("row-wise Adam", "float32"),
    ("dense Adam", "bfloat16"), ("row-wise Adagrad", "bfloat16"),
)  # fmt: skip


class Cell(NamedTuple):
    """A fit."""

    scenario: str
    optimiser: str
    precision: str
    rate: float
    seed: int


class Data(NamedTuple):
    """Training rows, test rows, and how predictions for the latter are measured."""

    schema: Schema
    log: pd.DataFrame
    test: pd.DataFrame
    measure: Callable[[pd.DataFrame], dict[str, float]]


@lru_cache(maxsize=1)
def simulated(name: str, scale: float, seed: int) -> Data:
    """Draw a log to fit and one to measure against the truth on all impressions."""
    simulator = simulate.scenario(name, seed=seed)
    rows = draw(simulator, int(scale * ROWS), int(scale * TEST_ROWS), seed)
    truth = rows.test_truth
    targets = {"CTR": truth.pctr, "CVR": truth.pcvr, "CTCVR": truth.pctcvr}

    def measure(scores: pd.DataFrame) -> dict[str, float]:
        metrics = {}
        for stage, target in targets.items():
            score = scores[f"p{stage.lower()}"].to_numpy()
            metrics[f"{stage} AUC, all"] = area(score, target)
            metrics[f"{stage} log loss, all"] = cross_entropy(score, target)
        return metrics

    return Data(simulator.schema, rows.log, rows.test, measure)


@lru_cache(maxsize=1)
def kuairand(raw: Path) -> Data:
    """Read the real log, measured on all impressions, CVR on clicks."""
    part = kuairand_rows.read(raw, "long_view")
    return Data(*part, lambda scores: kuairand_rows.measure(scores, part.test))


def fit(raw: Path | None, scale: float, cell: Cell) -> dict[str, float]:
    """Fit, predict and measure."""
    torch.set_num_threads(1)
    if cell.scenario == KUAIRAND:
        assert raw is not None
        data = kuairand(raw)
    else:
        data = simulated(cell.scenario, scale, cell.seed)
    settings = {"lr": LR, **RATES[cell.optimiser][cell.rate], "precision": cell.precision}
    start = time.process_time()
    estimator = FunnelEstimator(
        models.esmm, data.schema, epochs=epochs_of(len(data.log)), seed=cell.seed, **settings
    ).fit(data.log)
    seconds = time.process_time() - start
    return {**data.measure(estimator.predict(data.test)), "seconds of processor": seconds}


def chosen_rates(result: Result, scenario: str) -> dict[str, float]:
    """Learning rate with the least log loss under the tuning seed, by optimiser."""
    tuned = pd.DataFrame(result.where(scenario=scenario, seed=TUNING_SEED, precision="float32"))
    loss = tuned["CTR log loss, all"] + tuned["CTCVR log loss, all"]
    best = tuned.loc[loss.groupby(tuned["optimiser"]).idxmin()]
    return dict(zip(best["optimiser"], best["rate"], strict=True))


def differences(result: Result, scenario: str) -> dict[str, dict[str, Pair]]:
    """Gains over the base by variant and metric, paired over the seeds; positive is better."""
    rates = chosen_rates(result, scenario)
    frame = pd.DataFrame(result.where(scenario=scenario))
    frame = frame[frame["seed"] != TUNING_SEED]
    frame = frame.set_index(["optimiser", "precision", "rate", "seed"]).sort_index()
    metrics = [x for x in frame if " AUC, " in x or " log loss, " in x]
    by_seed = {
        (optimiser, precision): frame.loc[(optimiser, precision, rates[optimiser]), metrics]
        for optimiser, precision in (BASE, *VARIANTS)
    }
    return {
        ", ".join(variant): {
            metric: pair_of((-1 if "log loss" in metric else 1) * gain[metric])
            for metric in metrics
        }
        for variant in VARIANTS
        for gain in [by_seed[variant] - by_seed[BASE]]
    }


def text(pair: Pair) -> str:
    """A gain, marked where it is more than one standard error below 0."""
    return pair.text("+.5f") + ("" if pair.mean >= -pair.error else " **worse**")


def table(result: Result, scenario: str) -> pd.DataFrame:
    """Gains of every variant as text."""
    return pd.DataFrame(differences(result, scenario)).map(text).T


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "training_quality", seeds=5)
    parser.add_argument("raw", type=Path, nargs="?", help="KuaiRand-Pure's original files")
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    given = parser.parse_args(arguments)
    study = Study(
        f"python -m benchmarks.performance.training_quality RAW --seeds {given.seeds}",
        Cell, partial(fit, given.raw, given.scale), {"rows": int(given.scale * ROWS)}, given.out,
        metadata={"spaces": "all: all impressions; clicks: clicked impressions",
                  "model": "esmm on MMoE, estimator defaults", "tuning seed": TUNING_SEED},
        shown=("CTR AUC, all", "CTCVR AUC, all", "seconds of processor"), digits=6,
    )  # fmt: skip
    scenarios = [s for s in given.scenarios if s != KUAIRAND or given.raw or given.table]
    if not given.table:
        tuning = [
            Cell(scenario, optimiser, "float32", rate, TUNING_SEED)
            for scenario in scenarios
            for optimiser, rates in RATES.items()
            for rate in rates
        ]
        study.run(tuning, given.workers)
        rates = {scenario: chosen_rates(read(given.out), scenario) for scenario in scenarios}
        cells = [
            Cell(scenario, optimiser, precision, rates[scenario][optimiser], seed)
            for seed in range(given.seeds)
            for scenario in scenarios
            for optimiser, precision in (BASE, *VARIANTS)
        ]
        study.run(cells, given.workers)
    for scenario in scenarios:
        print(f"\n{scenario}\n{table(read(given.out), scenario).to_string()}")
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
