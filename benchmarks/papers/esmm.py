"""The ESMM paper's comparison (Ma et al., SIGIR 2018) repeated where the true CVR is known.

    python benchmarks/papers/esmm.py [--seeds 5]

The paper's seven competitors in its own form: raw ids and nothing made of them, one MLP a task,
ESMM sharing the embeddings and nothing else. Beside them what the paper lacks: the control, ESMM's
networks with CVR masked to clicks, and the oracle, which sees every potential conversion. Two
scenarios, at the rates of Ali-CCP and with more conversions. For CTCVR AUC every method's pCVR is
multiplied by the same pCTR, that of BASE, whose two networks share nothing: the paper's protocol.

A cell is a method in a scenario under a seed; all methods of a seed see the same rows, so that
differences to BASE are paired. Cells are kept one at a time, so that an interrupted run goes on
where it stopped; `--table` prints what there is and runs nothing.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from esmm_paper_figure import gaps_figure
from esmm_paper_page import print_tables
from methods import area, measure
from study import Draw, draw, finish, parser_of

from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

RESULT = Path(__file__).parent / "results" / "esmm_paper.json"
FIGURE = Path(__file__).parents[1] / "docs" / "esmm_paper.png"
BASE = "BASE"
_OWN = partial(nn.SingleTask, bottom=nn.SharedBottom)
METHODS: Mapping[str, Builder] = {
    BASE: partial(models.click_space, bottom=nn.SharedBottom),
    "AMAN": partial(models.aman, bottom=nn.SharedBottom),
    "OVERSAMPLING": partial(models.oversampling, bottom=nn.SharedBottom),
    "UNBIAS": partial(models.unbias, bottom=nn.SharedBottom),
    "DIVISION": partial(models.division, bottom=nn.SharedBottom),
    "ESMM-NS": models.esmm_ns,
    "ESMM": partial(models.esmm, bottom=_OWN),
    "control": partial(models.multitask, bottom=_OWN),
    "oracle": partial(models.oracle, bottom=_OWN),
}
# Users and items of `aliccp`, and the rows that it is meant for, divided by twenty: as many
# impressions a user and an item.
WORLDS: Mapping[str, tuple[Mapping[str, int], int]] = {
    "sparse": ({}, 200_000),
    "aliccp": ({"users": 5_000, "items": 1_000}, 500_000),
}
TEST_ROWS = 200_000
ENCODING = Encoding(target_encoding=None)


class Cell(NamedTuple):
    """A method in a scenario under a seed."""

    seed: int
    scenario: str
    method: str


@lru_cache(maxsize=1)
def drawn(scenario: str, seed: int, rows: int, test_rows: int) -> Draw:
    """The rows that all methods see."""
    parameters, _ = WORLDS[scenario]
    return draw(simulate.scenario(scenario, seed=seed, **parameters), rows, test_rows, seed)


@lru_cache(maxsize=1)
def base_scores(scenario: str, seed: int, rows: int, test_rows: int) -> tuple[Any, float]:
    """What BASE predicts, whose pCTR all methods share, and the seconds of its fit."""
    return scores_of(BASE, drawn(scenario, seed, rows, test_rows), seed)


def scores_of(method: str, at: Draw, seed: int) -> tuple[Any, float]:
    start = time.perf_counter()
    estimator = FunnelEstimator(METHODS[method], at.scenario.schema, encoding=ENCODING, seed=seed)
    estimator.fit(at.log, truth=at.truth)
    seconds = time.perf_counter() - start
    return estimator.predict(at.test), seconds


def fit_and_measure(cell: Cell, rows: Mapping[str, int], test_rows: int) -> dict[str, Any]:
    """Fit, predict, and hold the prediction to the truth."""
    place = (cell.scenario, cell.seed, rows[cell.scenario], test_rows)
    at = drawn(*place)
    base, seconds = base_scores(*place)
    scores = base
    if cell.method != BASE:
        scores, seconds = scores_of(cell.method, at, cell.seed)
    common = base["pctr"].to_numpy() * scores["pcvr"].to_numpy()
    return {
        **measure(scores, at.click, at.test_truth),
        "CTCVR AUC, common pCTR, all": area(common, at.test_truth.pctcvr),
        "CTR AUC, all": area(scores["pctr"].to_numpy(), at.test_truth.pctr),
        "clicks": float(at.log["click"].sum()),
        "conversions": float(at.log["conversion"].sum()),
        "pCVR of 1, share": float(np.mean(scores["pcvr"].to_numpy() > 0.999)),
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, 5, RESULT, FIGURE)
    parser.add_argument("--scenarios", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    given = parser.parse_args(arguments)
    rows = {scenario: int(given.scale * n) for scenario, (_, n) in WORLDS.items()}
    test_rows = int(given.scale * TEST_ROWS)
    cells = [
        Cell(seed, scenario, method)
        for seed in range(given.seeds)
        for scenario in given.scenarios
        for method in METHODS
    ]
    parameters = {scenario: dict(found) for scenario, (found, _) in WORLDS.items()}
    records = finish(
        cells,
        lambda cell: fit_and_measure(cell, rows, test_rows),
        given,
        {"rows": rows, "test_rows": test_rows, "parameters": parameters},
        "python benchmarks/papers/esmm.py",
    )
    print_tables(records)
    save(gaps_figure(records), given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
