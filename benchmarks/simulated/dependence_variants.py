"""Estimators and uses of lambda, and positions that are not drawn at random.

    python -m benchmarks.simulated.dependence_variants

*Variants*: the moment, the moment with the towers refitted, the profile likelihood and the joint
likelihood, on the scenarios of benchmarks.simulated.dependence at the full effect of the position.

*Policies*: `dense`, where nothing is hidden, with positions at random or given by a ranker that
sees the click score; and without the item features in the model, so that the ranker uses what the
model lacks.

Cells are kept one at a time, so that an interrupted run resumes.
"""

import sys
import time
import warnings
from functools import partial
from typing import Any, NamedTuple

from benchmarks.lib.metrics import measure
from benchmarks.lib.study import Study, draw, launch, parser_of
from mtl_seq import FunnelEstimator, Schema, models, simulate
from mtl_seq.errors import SelectionWarning
from mtl_seq.fit.prediction import score_rows
from mtl_seq.models import DependenceConfig

ROWS, TEST_ROWS, SEED, SLOTS = 200_000, 100_000, 0, 10
VARIANTS = {
    "moment": DependenceConfig(),
    "moment, refitted": DependenceConfig(refit=True),
    "profile": DependenceConfig("profile"),
    "joint": DependenceConfig("joint"),
}
SCENARIOS = ("mnar", "hidden", "dense")
ITEMS = ("item_id", "item_category", "item_brand", "price")
POLICIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "random, all features": ("uniform", ()),
    "ranked, all features": ("top_k", ()),
    "random, items left out": ("uniform", ITEMS),
    "ranked, items left out": ("top_k", ITEMS),
}


class Cell(NamedTuple):
    """A variant in a scenario, or (scenario ``policy``) a policy of positions in `dense`."""

    scenario: str
    variant: str


def planned() -> list[Cell]:
    """All cells."""
    policies = [Cell("policy", name) for name in POLICIES]
    return policies + [Cell(scenario, name) for scenario in SCENARIOS for name in VARIANTS]


def fit(cell: Cell, scale: float = 1.0) -> dict[str, Any]:
    """Fit a variant in a scenario."""
    policy, left_out = POLICIES.get(cell.variant, ("uniform", ()))
    exposure = {
        "policy": policy,
        "slots": SLOTS,
        "candidates": 3 * SLOTS,
        "strength": 3.0,
        "position_effect": 1.0,
    }
    name = "dense" if cell.scenario == "policy" else cell.scenario
    scenario = simulate.scenario(name, seed=SEED, exposure=exposure)
    roles = scenario.schema.to_dict()
    for kind in ("ids", "dense"):
        roles[kind] = [column for column in roles[kind] if column not in left_out]
    at = draw(scenario, int(scale * ROWS), int(scale * TEST_ROWS), SEED)
    dependence = VARIANTS.get(cell.variant, DependenceConfig())
    builder = partial(models.esmm_dependent, dependence=dependence)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        estimator = FunnelEstimator(builder, Schema.from_dict(roles), seed=SEED).fit(at.log)
    seconds = time.perf_counter() - start
    found = estimator.dependence_
    assert found is not None
    metrics: dict[str, Any] = measure(estimator.predict(at.test), at.click, at.test_truth)
    if not found.by_network:
        rows = estimator.codec_.encode(at.test, labels=False)
        base = score_rows(estimator.model_.network, rows)
        bias = base.pcvr.mean() / at.test_truth.pcvr.mean() - 1
        metrics["relative bias of the base, all"] = float(bias)
    return {
        **metrics,
        "relative bias of P(r | x, click), all": at.clicked_bias,
        "lambda": found.test.log_odds_ratio,
        "standard error": found.test.standard_error,
        "t": found.test.t,
        "verdict": found.test.verdict,
        "level share": found.test.level_share,
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    given = parser_of(__doc__, "dependence_variants", 1).parse_args(arguments)
    study = Study(
        "python -m benchmarks.simulated.dependence_variants",
        Cell,
        partial(fit, scale=given.scale),
        {
            "rows": int(given.scale * ROWS),
            "test_rows": int(given.scale * TEST_ROWS),
            "seed": SEED,
            "slots": SLOTS,
        },
        given.out,
        shown=("lambda", "standard error", "verdict", "relative bias, all", "log loss, all"),
    )
    if given.table:
        print(*study.kept().values(), sep="\n")
    else:
        study.run(planned(), given.workers)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
