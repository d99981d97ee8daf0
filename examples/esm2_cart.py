"""ESM2: a cart between click and purchase, compared with ESMM, which ignores it.

    python examples/esm2_cart.py [--rows 50000]

The funnel is a longer value, not another class: the purchase comes after the click and may pass the
cart. Both models see the same rows; whether the cart helps depends on the log.
"""

import argparse
import sys

import numpy as np

from mtl_seq import BiasReport, FunnelEstimator, Schema, models, simulate


def without_the_cart(schema: Schema) -> Schema:
    """The same features; the first and the last stage only."""
    first, last = schema.funnel.first, schema.funnel.last
    return Schema(
        labels={"click": schema.labels[first], "conversion": schema.labels[last]},
        ids=schema.ids,
        dense=schema.dense,
        group=schema.group,
    )


def main(arguments: list[str] | None = None) -> int:
    """Fit both, and compare pCVR with the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    simulator = simulate.scenario("esm2_cart", seed=given.seed)
    print(" -> ".join(conditional.name for conditional in simulator.schema.funnel.conditionals))
    rng = np.random.default_rng(given.seed)
    log, _ = simulator.sample(given.rows, rng)
    test, truth = simulator.sample(20_000, rng)
    fitted = {
        "esm2": FunnelEstimator(models.esm2, simulator.schema, seed=given.seed),
        "esmm": FunnelEstimator(models.esmm, without_the_cart(simulator.schema), seed=given.seed),
        "multitask": FunnelEstimator(
            models.multitask, without_the_cart(simulator.schema), seed=given.seed
        ),
    }
    scores = {name: estimator.fit(log).predict(test) for name, estimator in fitted.items()}
    report = BiasReport.against_truth(scores, test, truth)
    print(report.table.xs("all", axis=1, level="space").to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
