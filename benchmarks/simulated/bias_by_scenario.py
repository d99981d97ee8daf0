"""Bias of ESMM, ESCM2, DCMT and `targeted` in scenarios that break one assumption each.

    python -m benchmarks.simulated.bias_by_scenario [--seeds 3] [--workers 2]

Six scenarios, each with five correlations of the click and the conversion score: one in which
nothing is wrong, one whose CVR tower, one whose CTR tower does not see what drives the click, one
with a hidden confounder, one in which clicks depend on the conversion that would follow, one with
little overlap. A cell is a method in a scenario under a seed; all methods of a seed see the same
rows, under the estimator's defaults and the one checkpoint rule. Cells are kept one at a time, so
that an interrupted run resumes. docs/bias_by_scenario.png is drawn at the end; `--table` fits
nothing.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lib.metrics import measure
from benchmarks.lib.pages import ROOT
from benchmarks.lib.study import Draw, Study, draw, launch, parser_of
from benchmarks.simulated.bias_by_scenario_map import SCENARIOS, BiasMap, draw_map
from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

RHOS = (-0.8, -0.4, 0.0, 0.4, 0.8)
ROWS, TEST_ROWS = 120_000, 60_000
METHODS: Mapping[str, Builder] = {
    "click_space": models.click_space,
    "multitask": models.multitask,
    "esmm": models.esmm,
    "escm2_ips": models.escm2_ips,
    "escm2_dr": models.escm2_dr,
    "dcmt": models.dcmt,
    "targeted": models.targeted,
    "oracle": models.oracle,
}


class Cell(NamedTuple):
    """A method in a scenario under a seed."""

    seed: int
    scenario: str
    rho: float
    method: str


@lru_cache(maxsize=1)
def drawn(scenario: str, rho: float, seed: int, rows: int, test_rows: int) -> Draw:
    """The rows that all methods see."""
    return draw(simulate.scenario(scenario, rho=rho, seed=seed), rows, test_rows, seed)


def fit(cell: Cell, rows: int, test_rows: int) -> dict[str, Any]:
    """Fit, predict, and compare the prediction with the truth."""
    at = drawn(cell.scenario, cell.rho, cell.seed, rows, test_rows)
    start = time.perf_counter()
    estimator = FunnelEstimator(METHODS[cell.method], at.scenario.schema, seed=cell.seed)
    estimator.fit(at.log, truth=at.truth)
    seconds = time.perf_counter() - start
    return {
        **measure(estimator.predict(at.test), at.click, at.test_truth),
        "relative bias of P(r | x, click), all": at.clicked_bias,
        "conversions": float(at.log["conversion"].sum()),
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "bias_by_scenario")
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--rhos", nargs="+", type=float, default=list(RHOS))
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "bias_by_scenario.png")
    given = parser.parse_args(arguments)
    settings = {"rows": int(given.scale * ROWS), "test_rows": int(given.scale * TEST_ROWS)}
    command = f"python -m benchmarks.simulated.bias_by_scenario --seeds {given.seeds}"
    study = Study(command, Cell, partial(fit, **settings), settings, given.out)
    cells = [
        Cell(seed, scenario, rho, method)
        for seed in range(given.seeds)
        for scenario in given.scenarios
        for rho in given.rhos
        for method in METHODS
    ]
    found = study.kept() if given.table else study.run(cells, given.workers)
    save(draw_map(BiasMap(list(found.values()))), given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
