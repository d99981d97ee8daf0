"""Who is right where: ESMM, ESCM2, DCMT and the default in scenarios of every sign and flaw.

    python benchmarks/simulated/bias_by_scenario.py [--seeds 3]

Six scenarios, each with five correlations of the click and the conversion score: one in which nothing
is wrong, one whose CVR tower, one whose CTR tower does not see what drives the click, one with a
hidden confounder, one in which clicks depend on the conversion that would follow, one with little
overlap. A cell is a method in a scenario under a seed; all methods of a seed see the same rows, under
the estimator's defaults and the one checkpoint rule. Cells are kept one at a time, so that an
interrupted run goes on where it stopped; the first seed of everything comes first. `--table` prints
what there is and runs nothing.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from methods import measure
from study import Draw, draw, finish, parser_of
from who_is_right_map import the_map
from who_is_right_page import print_tables

from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

RESULT = Path(__file__).parent / "results" / "who_is_right.json"
FIGURE = Path(__file__).parents[1] / "docs" / "who_is_right.png"
WORLDS = ("dense", "cvr_blind", "ctr_blind", "hidden", "mnar", "low_overlap")
RHOS = (-0.8, -0.4, 0.0, 0.4, 0.8)
ROWS, TEST_ROWS = 120_000, 60_000
METHODS: Mapping[str, Builder] = {
    "click_space": models.click_space,
    "multitask": models.multitask,
    "esmm": models.esmm,
    "escm2_ips": models.escm2_ips,
    "escm2_dr": models.escm2_dr,
    "dcmt": models.dcmt,
    "default": models.targeted,
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


def fit_and_measure(cell: Cell, rows: int, test_rows: int) -> dict[str, Any]:
    """Fit, predict, and hold the prediction to the truth."""
    at = drawn(cell.scenario, cell.rho, cell.seed, rows, test_rows)
    start = time.perf_counter()
    estimator = FunnelEstimator(METHODS[cell.method], at.scenario.schema, seed=cell.seed)
    estimator.fit(at.log, truth=at.truth)
    seconds = time.perf_counter() - start
    truth = at.test_truth
    return {
        **measure(estimator.predict(at.test), at.click, truth),
        # What a method that assumes nothing hidden has at best.
        "relative bias of P(r | x, click), all": float(
            truth.pcvr_clicked.mean() / truth.pcvr.mean() - 1
        ),
        "conversions": float(at.log["conversion"].sum()),
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, 3, RESULT, FIGURE)
    parser.add_argument("--scenarios", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--rhos", nargs="+", type=float, default=list(RHOS))
    given = parser.parse_args(arguments)
    rows, test_rows = (int(given.scale * n) for n in (ROWS, TEST_ROWS))
    cells = [
        Cell(seed, scenario, rho, method)
        for seed in range(given.seeds)
        for scenario in given.scenarios
        for rho in given.rhos
        for method in METHODS
    ]
    records = finish(
        cells,
        lambda cell: fit_and_measure(cell, rows, test_rows),
        given,
        {"rows": rows, "test_rows": test_rows},
        "python benchmarks/simulated/bias_by_scenario.py",
    )
    print_tables(records)
    save(the_map(records), given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
