"""A hidden confounder of clicks and conversions, identified by a position that moves clicks only.

    python examples/position_dependence.py [--rows 100000]

In this scenario an unlogged confounder moves both, so that CVR learned from clicks is too high at
every x. The position of an item is randomised and does not affect conversions: how the CVR on
clicks changes with it identifies the dependence of click and conversion.
"""

import argparse
import sys
import warnings

import numpy as np

from mtl_seq import BiasReport, FunnelEstimator, models, simulate
from mtl_seq.errors import SelectionWarning


def main(arguments: list[str] | None = None) -> int:
    """Fit ESMM with and without a learned dependence, and compare both with the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    simulator = simulate.scenario(
        "hidden",
        seed=given.seed,
        exposure={"policy": "uniform", "slots": 10, "position_effect": 1.0},
    )
    print("only the click tower sees:", *simulator.schema.hidden["conversion"])
    rng = np.random.default_rng(given.seed)
    log, truth = simulator.sample(given.rows, rng)
    test, test_truth = simulator.sample(20_000, rng)
    scores = {}
    for build in (models.multitask, models.esmm, models.esmm_dependent, models.oracle):
        estimator = FunnelEstimator(build, simulator.schema, seed=given.seed)
        with warnings.catch_warnings():  # the selection by clicks is intended
            warnings.simplefilter("ignore", SelectionWarning)
            estimator.fit(log, truth=truth)  # only the oracle uses the truth
        scores[build.__name__] = estimator.predict(test)
        if estimator.dependence_ is not None:
            found = estimator.dependence_.test
            print(
                f"log odds ratio {found.log_odds_ratio:.2f} +- {found.standard_error:.2f}: "
                f"{found.verdict}"
            )
    report = BiasReport.against_truth(scores, test, test_truth)
    print(report.table.xs("all", axis=1, level="space").to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
