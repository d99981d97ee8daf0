"""Repeat the comparison of the ESMM paper (Ma et al., SIGIR 2018) where the true CVR is known.

    python -m benchmarks.papers.esmm [--seeds 5]

The paper's seven competitors in its form: raw ids without target encodings, one MLP per task, ESMM
shares the embeddings and nothing else. Besides, what the paper lacks: the control, ESMM's networks
with CVR masked to clicks, and the oracle, trained on every potential conversion. Two scenarios, at
the rates of Ali-CCP and with more conversions. For CTCVR AUC every method's pCVR is multiplied by
the same pCTR, that of BASE, whose two networks share nothing: the paper's protocol.

A cell is a method in a scenario under a seed; all methods of a seed see the same rows, so that
differences to BASE are paired. Draws docs/esmm_paper.png.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.lib.metrics import area, measure
from benchmarks.lib.results_store import read
from benchmarks.lib.study import Draw, Study, draw, launch, parser_of
from benchmarks.papers.esmm_figure import gaps_figure
from benchmarks.papers.esmm_summary import BASE, SCENARIOS, Summary
from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

FIGURE = Path(__file__).parents[2] / "docs" / "esmm_paper.png"
_PER_TASK = partial(nn.SingleTask, bottom=nn.SharedBottom)
METHODS: Mapping[str, Builder] = {
    BASE: partial(models.click_space, bottom=nn.SharedBottom),
    "AMAN": partial(models.aman, bottom=nn.SharedBottom),
    "OVERSAMPLING": partial(models.oversampling, bottom=nn.SharedBottom),
    "UNBIAS": partial(models.unbias, bottom=nn.SharedBottom),
    "DIVISION": partial(models.division, bottom=nn.SharedBottom),
    "ESMM-NS": models.esmm_ns,
    "ESMM": partial(models.esmm, bottom=_PER_TASK),
    "control": partial(models.multitask, bottom=_PER_TASK),
    "oracle": partial(models.oracle, bottom=_PER_TASK),
}
# Users, items and rows of `aliccp` divided by twenty: as many impressions a user and an item.
PARAMETERS: Mapping[str, Mapping[str, int]] = {
    "sparse": {},
    "aliccp": {"users": 5_000, "items": 1_000},
}
ROWS = {"sparse": 200_000, "aliccp": 500_000}
TEST_ROWS = 200_000
ENCODING = Encoding(target_encoding=None)


class Cell(NamedTuple):
    """A method in a scenario under a seed."""

    seed: int
    scenario: str
    method: str


@lru_cache(maxsize=1)
def drawn(scenario: str, seed: int, rows: int, test_rows: int) -> Draw:
    """Draw the rows that all methods see."""
    simulator = simulate.scenario(scenario, seed=seed, **PARAMETERS[scenario])
    return draw(simulator, rows, test_rows, seed)


@lru_cache(maxsize=1)
def base_scores(scenario: str, seed: int, rows: int, test_rows: int) -> tuple[Any, float]:
    """Predictions of BASE, whose pCTR all methods share, and the seconds of its fit."""
    return scores_of(BASE, drawn(scenario, seed, rows, test_rows), seed)


def scores_of(method: str, rows: Draw, seed: int) -> tuple[Any, float]:
    """Predictions of a method for the test rows, and the seconds of its fit."""
    start = time.perf_counter()
    schema = rows.scenario.schema
    estimator = FunnelEstimator(METHODS[method], schema, encoding=ENCODING, seed=seed)
    estimator.fit(rows.log, truth=rows.truth)
    seconds = time.perf_counter() - start
    return estimator.predict(rows.test), seconds


def fit_and_measure(scale: float, cell: Cell) -> dict[str, Any]:
    """Fit, predict, and compare with the truth."""
    key = (cell.scenario, cell.seed, int(scale * ROWS[cell.scenario]), int(scale * TEST_ROWS))
    rows = drawn(*key)
    base, seconds = base_scores(*key)
    scores = base
    if cell.method != BASE:
        scores, seconds = scores_of(cell.method, rows, cell.seed)
    common = base["pctr"].to_numpy() * scores["pcvr"].to_numpy()
    return {
        **measure(scores, rows.click, rows.test_truth),
        "CTCVR AUC, common pCTR, all": area(common, rows.test_truth.pctcvr),
        "CTR AUC, all": area(scores["pctr"].to_numpy(), rows.test_truth.pctr),
        "clicks": float(rows.log["click"].sum()),
        "conversions": float(rows.log["conversion"].sum()),
        "pCVR of 1, share": float(np.mean(scores["pcvr"].to_numpy() > 0.999)),
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "esmm", seeds=5)
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    settings = {
        "rows": {scenario: int(given.scale * n) for scenario, n in ROWS.items()},
        "test_rows": int(given.scale * TEST_ROWS),
        "parameters": PARAMETERS,
    }
    command = f"python -m benchmarks.papers.esmm --seeds {given.seeds}"
    study = Study(command, Cell, partial(fit_and_measure, given.scale), settings, given.out)
    cells = [
        Cell(seed, scenario, method)
        for seed in range(given.seeds)
        for scenario in given.scenarios
        for method in METHODS
    ]
    if not given.table:
        study.run(cells, given.workers)
    summary = Summary(read(given.out))
    for scenario in summary.scenarios:
        print(f"\n{scenario}, {summary.seeds(scenario)} seeds")
        print(summary.as_in_the_paper(scenario).to_string())
        print(summary.against_the_truth(scenario).to_string())
    print(summary.pairs().to_string())
    save(gaps_figure(summary), given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
