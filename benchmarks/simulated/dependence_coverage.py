"""Coverage of lambda's intervals over replicates of a small scenario.

    python -m benchmarks.simulated.dependence_coverage [--seeds 200]

A scenario of 40 users, 20 items and four positions drawn at random, in which linear towers on
embeddings have the right form; clicks add lambda to their logit where a conversion would follow.
Each replicate is a separate log. Replicates are kept one at a time, so that an interrupted run
resumes.
"""

import sys
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.lib.study import Study, launch, parser_of
from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.errors import SelectionWarning

ROWS, LAMBDAS = 20_000, (1.5, 0.0)
BUILDER = partial(
    models.esmm_dependent,
    bottom=partial(nn.SharedBottom, hidden=()),
    head=partial(nn.DependentHead, hidden=()),
)
SETTINGS: dict[str, Any] = {"batch_size": 512, "epochs": 6, "lr": 1e-2}


class Cell(NamedTuple):
    """A log with a true lambda."""

    seed: int
    true: float


def fit(cell: Cell) -> dict[str, float | str]:
    """Draw a log and estimate its lambda."""
    scenario = simulate.LogisticFunnel(
        users=40,
        items=20,
        interaction=0.0,
        ctr=0.3,
        cvr=0.3,
        mnar=cell.true,
        exposure=simulate.Exposure("uniform", slots=4, position_effect=1.5),
    )
    log, _ = scenario.sample(ROWS, np.random.default_rng([cell.seed, 5]))
    encoding = Encoding(embedding=8, target_encoding=None)
    estimator = FunnelEstimator(
        BUILDER, scenario.schema, encoding=encoding, seed=cell.seed, **SETTINGS
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        estimator.fit(log)
    assert estimator.dependence_ is not None
    found = estimator.dependence_.test
    return {
        "lambda": found.log_odds_ratio,
        "standard error": found.standard_error,
        "t": found.t,
        "verdict": found.verdict,
    }


def summary(records: Sequence[Any], true: float) -> dict[str, float]:
    """Coverage of the 90% interval, and the standard error beside the spread."""
    frame = pd.DataFrame([record for record in records if record["true"] == true])
    found, error = frame["lambda"].astype(float), frame["standard error"].astype(float)
    return {
        "replicates": len(frame),
        "mean": found.mean(),
        "spread": found.std(),
        "mean standard error": error.mean(),
        "coverage": ((found - true).abs() < 1.644854 * error).mean(),
        "rejects": (frame["t"].astype(float).abs() > 1.959964).mean(),
    }


def main(arguments: list[str] | None = None) -> int:
    given = parser_of(__doc__, "dependence_coverage", 200).parse_args(arguments)
    command = f"python -m benchmarks.simulated.dependence_coverage --seeds {given.seeds}"
    settings = {"rows": ROWS, **SETTINGS}
    study = Study(command, Cell, fit, settings, given.out, {}, ("lambda", "standard error"))
    cells = [Cell(seed, true) for seed in range(given.seeds) for true in LAMBDAS]
    found = study.kept() if given.table else study.run(cells, given.workers)
    for true in LAMBDAS:
        print(f"lambda {true}: {summary(list(found.values()), true)}")
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
