"""How many epochs over a small log: what each number costs, and which rule loses least.

    python -m benchmarks.leaderboard.epochs [--seeds 3]

The control, `multitask`, on MMoE with the estimator's defaults but for the number of epochs, over
logs of 2,000 to 100,000 rows in `dense`, `cvr_blind` and `sparse`: log loss of pCTR and of pCVR
over all impressions, against the truth. The learning rate decays to 0 over a fit; the one
checkpoint rule chooses the epoch. A rule makes at least so many steps of 256 rows; its regret is
its log loss minus that of the best number of epochs for that log and stage. Fits are kept one at
a time in benchmarks/results/epochs.jsonl.gz; `--table` fits nothing.
"""

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.lib.metrics import area, cross_entropy
from benchmarks.lib.study import Study, draw, launch, parser_of
from mtl_seq import FunnelEstimator, models, simulate

SCENARIOS = ("dense", "cvr_blind", "sparse")
# By rows, the numbers of epochs tried.
TRIED = {
    2_000: (1, 2, 4, 8, 16, 32),
    5_000: (1, 2, 4, 8, 12, 21),
    10_000: (1, 2, 3, 4, 6, 11),
    20_000: (1, 2, 3, 4, 6),
    50_000: (1, 2, 3),
    100_000: (1, 2),
}
TEST_ROWS, BATCH = 50_000, 256
STEPS = (400, 300, 200, 150, 100, 50)
LOSSES = ("CTR log loss, all", "CVR log loss, all")


class Cell(NamedTuple):
    """Epochs over a log of a scenario under a seed."""

    seed: int
    scenario: str
    rows: int
    epochs: int


def planned(seeds: Iterable[int]) -> list[Cell]:
    """All fits, seed by seed."""
    return [
        Cell(seed, scenario, rows, epochs)
        for seed in seeds
        for scenario in SCENARIOS
        for rows, every in TRIED.items()
        for epochs in every
    ]


def fit(cell: Cell, scale: float) -> dict[str, Any]:
    """Log loss and AUC of both stages over all impressions, and the epoch chosen."""
    torch.set_num_threads(1)
    scenario = simulate.scenario(cell.scenario, seed=cell.seed)
    at = draw(scenario, int(cell.rows * scale), int(TEST_ROWS * scale), cell.seed)
    estimator = FunnelEstimator(
        models.multitask, scenario.schema, epochs=cell.epochs, seed=cell.seed
    ).fit(at.log)
    scores, found = estimator.predict(at.test), {}
    for stage, target in (("CTR", at.test_truth.pctr), ("CVR", at.test_truth.pcvr)):
        predicted = scores[f"p{stage.lower()}"].to_numpy().astype(float)
        found[f"{stage} log loss, all"] = cross_entropy(predicted, target)
        found[f"{stage} AUC, all"] = area(predicted, target)
    return found | {"epoch kept": estimator.run_.best_epoch + 1}


def epochs_for(steps: int, rows: int) -> int:
    """Of the numbers tried, that nearest to so many steps, and at least one epoch."""
    asked = max(1.0, steps * BATCH / rows)
    return min(TRIED[rows], key=lambda epochs: abs(np.log(epochs / asked)))


def rules(records: Sequence[Any]) -> pd.DataFrame:
    """Regret of each rule by rows and stage, nats / 1000: mean ± standard error (epochs)."""
    frame = pd.DataFrame(records).set_index(["seed", "scenario", "rows", "epochs"])
    lines = {}
    for rows in TRIED:
        for metric in LOSSES:
            losses = frame[metric].xs(rows, level="rows").unstack("epochs").dropna()
            chosen = {f"{steps} steps": epochs_for(steps, rows) for steps in STEPS}
            regrets = {rule: losses[n] - losses.min(axis=1) for rule, n in chosen.items()}
            lines[f"{rows:,}, {metric.split()[0]}"] = {
                rule: f"{1000 * r.mean():.2f} ± {1000 * r.sem():.2f} ({chosen[rule]})"
                for rule, r in regrets.items()
            }
    return pd.DataFrame.from_dict(lines, orient="index")


def main(arguments: list[str] | None = None) -> int:
    given = parser_of(__doc__, "epochs").parse_args(arguments)
    study = Study(
        f"python -m benchmarks.leaderboard.epochs --seeds {given.seeds}",
        Cell,
        partial(fit, scale=given.scale),
        {"scale": given.scale, "test rows": TEST_ROWS, "batch size": BATCH},
        given.out,
        shown=LOSSES,
    )
    cells = planned(range(given.seeds))
    found = study.kept() if given.table else study.run(cells, given.workers)
    print(rules(list(found.values())).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
