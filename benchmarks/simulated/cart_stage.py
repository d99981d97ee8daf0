"""Gain of a cart stage as purchases get rarer: ESM2 beside models without a cart.

    python -m benchmarks.simulated.cart_stage [--seeds 5]

Scenario `esm2_cart`: a quarter of the clicks put the item into the cart, which adds 3 to the logit
of the purchase. Purchases per click are swept; all else stays. ESM2 (Wen et al., SIGIR 2020) sees
click, cart and purchase; ESMM, the control (CVR masked to clicks) and the oracle see click and
purchase of the same rows. Everything on raw ids and with the default target encodings, which are
one a stage, so that with a cart every network reads each id's cart history too.

Cells are kept one at a time, so that an interrupted run resumes. docs/esm2_cart.png is drawn at the
end; `--table` fits nothing.
"""

import sys
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lib.metrics import measure
from benchmarks.lib.pages import ROOT
from benchmarks.lib.study import Draw, Study, draw, launch, parser_of
from benchmarks.simulated.cart_stage_sweep import Sweep, draw_sweep
from mtl_seq import FunnelEstimator, Schema, models, simulate
from mtl_seq.data import Encoding
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

RATES = (0.1, 0.03, 0.01, 0.003)
ROWS, TEST_ROWS = 120_000, 100_000
METHODS: Mapping[str, Builder] = {
    "esm2": models.esm2,
    "esmm": models.esmm,
    "multitask": models.multitask,
    "oracle": models.oracle,
}
ENCODINGS = {"raw ids": Encoding(target_encoding=None), "target encodings": Encoding()}


class Cell(NamedTuple):
    """A method at a rate of purchases under a seed."""

    seed: int
    rate: float
    encoding: str
    method: str


def without_the_cart(schema: Schema) -> Schema:
    """The same features; the first and the last stage only."""
    first, last = schema.funnel.first, schema.funnel.last
    labels = {"click": schema.labels[first], "conversion": schema.labels[last]}
    return Schema(labels=labels, ids=schema.ids, dense=schema.dense, group=schema.group)


@lru_cache(maxsize=1)
def drawn(rate: float, seed: int, rows: int, test_rows: int) -> Draw:
    """The rows that all methods see."""
    return draw(simulate.scenario("esm2_cart", cvr=rate, seed=seed), rows, test_rows, seed)


def fit(cell: Cell, rows: int, test_rows: int) -> dict[str, Any]:
    """Fit, predict, and compare the prediction with the truth."""
    at = drawn(cell.rate, cell.seed, rows, test_rows)
    schema = at.scenario.schema if cell.method == "esm2" else without_the_cart(at.scenario.schema)
    start = time.perf_counter()
    estimator = FunnelEstimator(
        METHODS[cell.method], schema, encoding=ENCODINGS[cell.encoding], seed=cell.seed
    ).fit(at.log, truth=at.truth)
    seconds = time.perf_counter() - start
    return {
        **measure(estimator.predict(at.test), at.click, at.test_truth),
        "purchases": float(at.log["conversion"].sum()),
        "purchases by the cart": float((at.log["conversion"] * at.log["cart"]).sum()),
        "carts": float(at.log["cart"].sum()),
        "seconds": seconds,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "cart_stage", 5)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "esm2_cart.png")
    given = parser.parse_args(arguments)
    settings = {"rows": int(given.scale * ROWS), "test_rows": int(given.scale * TEST_ROWS)}
    command = f"python -m benchmarks.simulated.cart_stage --seeds {given.seeds}"
    study = Study(command, Cell, partial(fit, **settings), settings, given.out)
    cells = [
        Cell(seed, rate, encoding, method)
        for seed in range(given.seeds)
        for rate in given.rates
        for encoding in ENCODINGS
        for method in METHODS
    ]
    found = study.kept() if given.table else study.run(cells, given.workers)
    save(draw_sweep(Sweep(list(found.values()))), given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
