"""How many passes over a small log: what each number comes to, and which rule loses least.

    python benchmarks/leaderboard/epochs.py [--seeds 3]

The control, `multitask`, on MMoE with the estimator's defaults but for the number of passes, over
logs of 2,000 to 100,000 rows in `dense`, `cvr_blind` and `sparse`: log loss of pCTR and of pCVR
over all impressions, against the truth. The learning rate falls to 0 over all passes of a fit; the
one checkpoint rule keeps the pass. A rule makes at least so many steps of 256 rows; its regret is
its log loss minus that of the best number of passes for that log and stage. Fits are kept one at a
time in benchmarks/results/passes.json, and the table of docs/training.md is written anew; `--table`
fits nothing.
"""

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pages import fill, markdown
from study import draw, finish, parser_of

from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.functional import auc

RESULT = Path(__file__).parent / "results" / "passes.json"
PAGE = Path(__file__).parents[1] / "docs" / "training.md"
WORLDS = ("dense", "cvr_blind", "sparse")
# By rows, the numbers of passes tried.
TRIED = {
    2_000: (1, 2, 4, 8, 16, 32),
    5_000: (1, 2, 4, 8, 12, 21),
    10_000: (1, 2, 3, 4, 6, 11),
    20_000: (1, 2, 3, 4, 6),
    50_000: (1, 2, 3),
    100_000: (1, 2),
}
TEST_ROWS = 50_000
BATCH = 256
STEPS = (400, 300, 200, 150, 100, 50)
FIGURES = ("CTR log loss, all", "CVR log loss, all")


class Cell(NamedTuple):
    """Passes over a log of a scenario under a seed."""

    seed: int
    scenario: str
    rows: int
    passes: int


def planned(seeds: Iterable[int]) -> list[Cell]:
    """All fits, seed by seed."""
    return [
        Cell(seed, scenario, rows, passes)
        for seed in seeds
        for scenario in WORLDS
        for rows, every in TRIED.items()
        for passes in every
    ]


def fit(cell: Cell, scale: float) -> dict[str, Any]:
    """Fit, and hold to the truth over all impressions."""
    torch.set_num_threads(1)
    scenario = simulate.scenario(cell.scenario, seed=cell.seed)
    drawn = draw(scenario, int(cell.rows * scale), int(TEST_ROWS * scale), cell.seed)
    estimator = FunnelEstimator(
        models.multitask, scenario.schema, epochs=cell.passes, seed=cell.seed
    ).fit(drawn.log)
    scores, truth = estimator.predict(drawn.test), drawn.test_truth
    figures = {}
    for stage, target in (("CTR", truth.pctr), ("CVR", truth.pcvr)):
        found = scores[f"p{stage.lower()}"].to_numpy().astype(float)
        loss = -(target * np.log(found) + (1 - target) * np.log1p(-found))
        figures[f"{stage} log loss, all"] = float(loss.mean())
        area = auc(torch.from_numpy(found), torch.from_numpy(target.copy()))
        figures[f"{stage} AUC, all"] = float(area)
    return figures | {"pass kept": estimator.run_.best_epoch + 1}


def passes_of(steps: int, rows: int) -> int:
    """Of the numbers tried, that nearest to so many steps, and at least one pass."""
    asked = max(1.0, steps * BATCH / rows)
    return min(TRIED[rows], key=lambda passes: abs(np.log(passes / asked)))


def rules(records: Sequence[Any]) -> pd.DataFrame:
    """Mean regret over scenarios and seeds of each rule, by rows and figure; ± its standard error."""
    frame = pd.DataFrame(records).set_index(["seed", "scenario", "rows", "passes"])
    lines = []
    for rows in TRIED:
        for figure in FIGURES:
            losses = frame[figure].xs(rows, level="rows").unstack("passes").dropna()
            line: dict[str, Any] = {"rows": rows, "figure": figure}
            for steps in STEPS:
                passes = passes_of(steps, rows)
                regret = losses[passes] - losses.min(axis=1)
                said = f"{1000 * regret.mean():.2f} ± {1000 * regret.sem():.2f} ({passes})"
                line[f"{steps} steps"] = said
            lines.append(line)
    return pd.DataFrame(lines).set_index(["rows", "figure"])


def table(records: Sequence[Any]) -> str:
    """Markdown of the regrets."""
    found = rules(records)
    found.index = pd.Index([f"{rows:,}, {figure.split()[0]}" for rows, figure in found.index])
    return markdown(found, "rows, stage")


def main(arguments: list[str] | None = None) -> int:
    given = parser_of(__doc__, 3, RESULT, Path()).parse_args(arguments)
    settings = {"scale": given.scale, "test rows": TEST_ROWS, "batch size": BATCH}
    cells, fitted = planned(range(given.seeds)), partial(fit, scale=given.scale)
    records = finish(cells, fitted, given, settings, "python benchmarks/leaderboard/epochs.py")
    if given.out == RESULT:
        fill(PAGE, {"passes": table(records)})
    print("Regret in log loss, all impressions, nats / 1000: mean ± its standard error (passes)")
    print(rules(records).to_string())
    print(f"Checkpoint rule: {CHECKPOINT_RULE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
