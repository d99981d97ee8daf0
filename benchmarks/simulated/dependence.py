"""How well the learned dependence of click and conversion corrects pCVR, and its uncertainty.

    python -m benchmarks.simulated.dependence [--workers 2]

Named scenarios with ten positions drawn at random, which move the click's logit by
``-effect * log(position)``. A cell is a method in a scenario under a seed; all methods of a seed
see the same rows, under the estimator's defaults and the one checkpoint rule. Cells are kept one at
a time in benchmarks/results/dependence.jsonl.gz, so that an interrupted run resumes; `--table` fits
nothing.
"""

import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.lib.metrics import measure
from benchmarks.lib.study import Draw, Study, draw, launch, parser_of
from benchmarks.simulated.dependence_summary import OURS, lambdas, null_table, summarise
from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.dependence.find import applied_log_odds_ratio
from mtl_seq.errors import SelectionWarning
from mtl_seq.fit.prediction import score_rows
from mtl_seq.models import Builder, DependenceConfig

SLOTS = 10
EFFECTS = {"full": 1.0, "half": 0.5, "quarter": 0.25, "none": 0.0}
BUILDERS: Mapping[str, Builder] = {
    "esmm": models.esmm,
    "escm2_dr": models.escm2_dr,
    "oracle": models.oracle,
}
# By rate: parameters of the scenario, training and test rows.
RATES: Mapping[str, tuple[Mapping[str, float], int, int]] = {
    "CTR 20%": ({}, 200_000, 100_000),
    "CTR 4%": ({"ctr": 0.04, "cvr": 0.04}, 1_000_000, 200_000),
}


class Cell(NamedTuple):
    """A method in a scenario under a seed."""

    scenario: str
    rate: str
    effect: str
    seed: int
    method: str


def planned() -> list[Cell]:
    """All cells, the most informative first."""
    common, rare = RATES
    hidden, clean = ("mnar", "hidden"), ("dense", "cvr_blind")

    def cells(
        scenarios: Iterable[str], rate: str, effects: Iterable[str], seeds: range, *methods: str
    ) -> list[Cell]:
        return [
            Cell(scenario, rate, effect, seed, method)
            for effect in effects
            for seed in seeds
            for scenario in scenarios
            for method in methods
        ]

    order = [
        *cells(hidden, common, ["full"], range(10), OURS, "esmm"),
        *cells(hidden, common, ["none"], range(10), OURS),
        *cells(clean, common, ["full"], range(5), OURS, "esmm"),
        *cells(hidden, rare, ["full"], range(1), OURS, "esmm"),
        *cells(hidden, common, ["full"], range(2), "escm2_dr", "oracle"),
        *cells(hidden, common, ["half", "quarter"], range(3), OURS),
        *cells(clean, common, ["full"], range(10), OURS, "esmm"),
        *cells(hidden, rare, ["none"], range(1), OURS, "esmm"),
        *cells(clean, common, ["full"], range(10, 50), OURS),
        *cells(hidden, common, ["half", "quarter"], range(10), OURS),
        *cells(hidden, rare, ["full", "none"], range(3), OURS, "esmm"),
        *cells(hidden, common, ["none", "half", "quarter"], range(10), "esmm"),
        *cells(hidden, common, ["full", "none"], range(10), "escm2_dr", "oracle"),
        *cells(clean, common, ["full"], range(10, 50), "esmm"),
    ]
    return list(dict.fromkeys(order))


def drawn(cell: Cell) -> Draw:
    """The rows of a cell."""
    parameters, rows, test_rows = RATES[cell.rate]
    exposure = {"policy": "uniform", "slots": SLOTS, "position_effect": EFFECTS[cell.effect]}
    scenario = simulate.scenario(
        cell.scenario, seed=cell.seed, **dict(parameters), exposure=exposure
    )
    return draw(scenario, rows, test_rows, cell.seed)


def fit(cell: Cell) -> dict[str, Any]:
    """Draw, fit, predict, and compare the predictions with the truth."""
    at = drawn(cell)
    click, test_truth, schema = at.click, at.test_truth, at.scenario.schema
    start = time.perf_counter()
    if cell.method != OURS:
        estimator = FunnelEstimator(BUILDERS[cell.method], schema, seed=cell.seed)
        scores = estimator.fit(at.log, truth=at.truth).predict(at.test)
        return {**measure(scores, click, test_truth), "seconds": time.perf_counter() - start}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        estimator = FunnelEstimator(models.esmm_dependent, schema, seed=cell.seed).fit(at.log)
    scores = estimator.predict(at.test)
    seconds = time.perf_counter() - start
    found = estimator.dependence_
    assert found is not None
    network, codec = estimator.model_.network, estimator.codec_
    # The network with lambda fixed at 0 is the control, `multitask`, to the bit.
    base = pd.DataFrame(score_rows(network, codec.encode(at.test, labels=False))._asdict())
    shrunk = replace(
        found, log_odds_ratio=applied_log_odds_ratio(DependenceConfig(shrink=True), found.test)
    )
    shrunk_scores = pd.DataFrame(shrunk.apply(network, codec, at.test)._asdict())
    return {
        **measure(scores, click, test_truth),
        "multitask": measure(base, click, test_truth),
        "shrunk": {
            "lambda": shrunk.log_odds_ratio,
            **measure(shrunk_scores, click, test_truth),
        },
        "lambda": found.test.log_odds_ratio,
        "standard error": found.test.standard_error,
        "t": found.test.t,
        "verdict": found.test.verdict,
        "strength": found.test.strength,
        "level share": found.shares.source,
        "relative bias of P(r | x, click), all": at.clicked_bias,
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "dependence")
    parser.add_argument("--only", nargs="+", help="scenarios")
    given = parser.parse_args(arguments)
    study = Study(
        "python -m benchmarks.simulated.dependence",
        Cell,
        fit,
        {"slots": SLOTS, "effects": EFFECTS, "rates": RATES},
        given.out,
        shown=("relative bias, all", "lambda", "standard error", "verdict", "seconds"),
    )
    cells = [cell for cell in planned() if given.only is None or cell.scenario in given.only]
    found = study.kept() if given.table else study.run(cells, given.workers)
    for table in (summarise, lambdas, null_table):
        print(table(list(found.values())).round(4).to_string(), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
