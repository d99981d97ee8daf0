"""The bias of pCVR of several models in a scenario whose truth is known.

    python examples/compare_bias.py [--scenario cvr_blind] [--rows 50000] [--out bias/]

Prints the table, draws bias.png and writes bias.html. The control (multitask) and the oracle stand
beside the others: what sharing alone brings, and what the features allow.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from mtl_seq import BiasReport, FunnelEstimator, models, simulate

BUILDERS = (
    models.click_space,
    models.multitask,
    models.esmm,
    models.escm2_ips,
    models.escm2_dr,
    models.oracle,
)


def main(arguments: list[str] | None = None) -> int:
    """Simulate, fit every model on the same rows, and compare them with the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=list(simulate.scenarios()), default="cvr_blind")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--test-rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bias"))
    given = parser.parse_args(arguments)
    simulator = simulate.scenario(given.scenario, seed=given.seed)
    rng = np.random.default_rng(given.seed)
    log, truth = simulator.sample(given.rows, rng)
    test, test_truth = simulator.sample(given.test_rows, rng)
    scores = {
        build.__name__: FunnelEstimator(build, simulator.schema, seed=given.seed)
        .fit(log, truth=truth)  # only the oracle uses the truth
        .predict(test)
        for build in BUILDERS
    }
    report = BiasReport.against_truth(scores, test, test_truth)
    print(report.table.xs("all", axis=1, level="space").to_string())
    given.out.mkdir(parents=True, exist_ok=True)
    report.plot(given.out / "bias.png")
    report.to_html(given.out / "bias.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
