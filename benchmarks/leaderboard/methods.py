"""Every method in five scenarios: ranking, calibration and bias against the true CVR.

    python -m benchmarks.leaderboard.methods [--seeds 3] [--workers 2]

A cell is a method in a scenario under a seed: the same rows for every method of a seed, the
estimator's defaults, the one checkpoint rule. Cells are kept one at a time in
benchmarks/results/methods.jsonl.gz, so that an interrupted run resumes; docs/methods.png is drawn
at the end. `--table` fits nothing.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.leaderboard.summary import draw_bias, summarise
from benchmarks.lib.metrics import measure
from benchmarks.lib.pages import ROOT
from benchmarks.lib.study import Draw, Study, draw, launch, parser_of
from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.experiments.compare import ALL
from mtl_seq.losses import CrossFit, MovingAverage, PropensityPolicy
from mtl_seq.models import Builder

SCENARIOS = ("dense", "sparse", "cvr_blind", "ctr_blind", "hidden")
ROWS, TEST_ROWS = 200_000, 100_000
SHOWN = (
    *("AUC, all", "log loss, all", "relative bias, all", "sd of relative bias", "gap closed"),
    *("AUC, clicks", "relative bias, clicks", "effective_size", "clipped_share", "largest_share"),
)
# The control on other bottoms: benchmarks.performance.bottoms and benchmarks.papers.esmm_bottoms.
BOTTOMS = ("mmoe", "omoe", "ple", "shared_bottom", "single_task")
OPTIONS: Mapping[str, Builder] = {
    "escm2_ips, floor .1": partial(models.escm2_ips, propensity=PropensityPolicy(floor=0.1)),
    "multi_ipw, moving average": partial(
        models.multi_ipw, propensity=PropensityPolicy(source=MovingAverage())
    ),
    "multi_ipw, cross-fitted": partial(
        models.multi_ipw, propensity=PropensityPolicy(source=CrossFit())
    ),
    "dcmt, prior 1": partial(models.dcmt, prior=1.0),
    "ddpo, hard labels": partial(models.ddpo, soft_labels=False),
}
# By family, for tables and figures; methods that are not listed come before them.
ORDER = (
    *("click_space", "multitask", "aman", "oversampling", "unbias", "division"),
    *("esmm_ns", "esmm", "dbmtl", "aitm"),
    *("ips", "snips", "multi_ipw", "multi_ipw, moving average", "multi_ipw, cross-fitted"),
    *("escm2_ips", "escm2_ips, floor .1", "dcmt", "dcmt, prior 1", "chorus_cvr"),
    *("multi_dr", "escm2_dr", "dr_jl", "sn_dr", "mrdr", "dr_bias", "dr_mse"),
    *("nise", "ddpo", "ddpo, hard labels", "reweighted"),
    *("pairwise_ranker", "lambda_ranker", "targeted", "oracle"),
)
METHODS: Mapping[str, Builder] = dict(
    sorted(
        ((name, b) for name, b in {**ALL, **OPTIONS}.items() if name not in BOTTOMS),
        key=lambda named: ORDER.index(named[0]) if named[0] in ORDER else -1,
    )
)


class Cell(NamedTuple):
    """A method in a scenario under a seed."""

    seed: int
    scenario: str
    method: str


@lru_cache(maxsize=1)
def drawn(scenario: str, seed: int, rows: int, test_rows: int, **parameters: Any) -> Draw:
    """The rows that all methods see."""
    return draw(simulate.scenario(scenario, seed=seed, **parameters), rows, test_rows, seed)


def fit_and_measure(cell: Cell, rows: int, test_rows: int, **parameters: Any) -> dict[str, Any]:
    """Draw, fit, predict, and compare the prediction with the truth.

    Args:
        cell: Of the study.
        rows: Impressions to train on.
        test_rows: Impressions to measure on.
        **parameters: Of the scenario.
    """
    at = drawn(cell.scenario, cell.seed, rows, test_rows, **parameters)
    torch.set_num_threads(1)
    start = time.process_time()  # of one thread, so that other processes count little
    estimator = FunnelEstimator(METHODS[cell.method], at.scenario.schema, seed=cell.seed)
    estimator.fit(at.log, truth=at.truth)
    seconds = time.process_time() - start
    weights = {
        name.removeprefix("cvr/"): value
        for name, value in estimator.run_.training_history[-1].items()
        if name.startswith("cvr/")
    }
    return {
        **measure(estimator.predict(at.test), at.click, at.test_truth),
        **weights,
        "relative bias of P(r | x, click), all": at.clicked_bias,
        "seconds": seconds,
    }


def study_of(command: str, out: Path, rows: int, test_rows: int) -> Study:
    """The study of methods over so many rows."""
    settings = {"rows": rows, "test_rows": test_rows}
    return Study(command, Cell, partial(fit_and_measure, **settings), settings, out)


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "methods")
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "methods.png")
    given = parser.parse_args(arguments)
    command = f"python -m benchmarks.leaderboard.methods --seeds {given.seeds}"
    rows, test_rows = (int(given.scale * n) for n in (ROWS, TEST_ROWS))
    study = study_of(command, given.out, rows, test_rows)
    cells = [
        Cell(seed, scenario, method)
        for seed in range(given.seeds)
        for scenario in given.scenarios
        for method in given.methods
    ]
    found = study.kept() if given.table else study.run(cells, given.workers)
    table = summarise([found[cell] for cell in cells if cell in found])
    shown = table[[name for name in SHOWN if name in table]]
    print(shown.to_string(float_format="{:.4f}".format, na_rep="n/a"))
    if table["relative bias, all"].notna().any():
        draw_bias(table, given.figure, rows)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
