"""Compare ESMM on MMoE experts with ESMM on a shared bottom of equal size.

    python -m benchmarks.papers.esmm_bottoms [RAW] [--seeds 10]

Scenarios `dense`, `cvr_blind` (200,000 impressions) and `sparse` (1,000,000), and KuaiRand-Pure
where RAW, the folder of its original files, is given. Metrics are differences MMoE minus shared
bottom, paired by seed, with their standard error: the AUC against the true CVR over all
impressions and the absolute relative bias there; on KuaiRand the AUC of CTCVR over all
impressions and of CVR on clicks. `esmm_factors` searches for what can make MMoE trail. A cell is
a data set.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.lib.metrics import area, pair_of
from benchmarks.lib.results_store import Result, read
from benchmarks.lib.study import Study, draw, launch, parser_of
from benchmarks.real_logs import kuairand_rows
from mtl_seq import FunnelEstimator, models, nn, simulate

KUAIRAND = "kuairand, long_view"
ROWS = {"dense": 200_000, "cvr_blind": 200_000, "sparse": 1_000_000}
TEST_ROWS = 100_000
TITLES = {"|relative bias|": "absolute relative bias"}


class Cell(NamedTuple):
    """A data set."""

    data: str


def size(module: Any) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def equal_shared(in_features: int, towers: int) -> nn.SharedBottom:
    """A shared bottom with as many parameters as the default MMoE, to the nearest width."""
    width = round((size(nn.MMoE(in_features, towers)) - 32) / (in_features + 33))
    return nn.SharedBottom(in_features, towers, hidden=(width, 32))


def on_scenario(name: str, scale: float, bottom: Any, seed: int) -> dict[str, float]:
    """Fit once and measure against the truth."""
    simulator = simulate.scenario(name, seed=seed)
    rows = draw(simulator, int(scale * ROWS[name]), int(scale * TEST_ROWS), seed)
    estimator = FunnelEstimator(partial(models.esmm, bottom=bottom), simulator.schema, seed=seed)
    pcvr = estimator.fit(rows.log).predict(rows.test)["pcvr"].to_numpy()
    truth = rows.test_truth.pcvr
    return {
        "AUC": area(pcvr, truth),
        "|relative bias|": abs(float(pcvr.mean() / truth.mean() - 1)),
    }


def on_kuairand(part: kuairand_rows.Part, bottom: Any, seed: int) -> dict[str, float]:
    """Fit once, two epochs as every model on this log, and measure on the later days."""
    builder = partial(models.esmm, bottom=bottom)
    estimator = FunnelEstimator(builder, part.schema, epochs=2, seed=seed)
    metrics = kuairand_rows.measure(estimator.fit(part.train).predict(part.test), part.test)
    return {
        "AUC": metrics["CTCVR AUC, all"],
        "AUC on clicks": metrics["CVR AUC, clicks"],
        "|relative bias|": abs(metrics["CTCVR PCOC, all"] - 1),
    }


def fit(raw: Path | None, seeds: int, scale: float, cell: Cell) -> dict[str, dict[str, float]]:
    """Means of both bottoms over the seeds, and the paired difference with its standard error."""
    measure: Any = partial(on_scenario, cell.data, scale)
    if cell.data == KUAIRAND:
        assert raw is not None
        measure = partial(on_kuairand, kuairand_rows.read(raw, "long_view"))
    mmoe, shared = (
        pd.DataFrame([measure(bottom, seed) for seed in range(seeds)])
        for bottom in (nn.MMoE, equal_shared)
    )
    return {metric: difference(mmoe[metric], shared[metric]) for metric in mmoe}


def difference(mmoe: pd.Series, shared: pd.Series) -> dict[str, float]:
    """Both means, and the difference paired by seed."""
    pair = pair_of(mmoe - shared)
    return {
        "MMoE": float(mmoe.mean()),
        "shared": float(shared.mean()),
        "difference": pair.mean,
        "standard error": pair.error,
    }


def text(record: Mapping[str, float]) -> dict[str, str]:
    """Columns of a table from `difference`."""
    gap, error = record["difference"], record["standard error"]
    return {
        "MMoE": f"{record['MMoE']:.4f}",
        "shared bottom": f"{record['shared']:.4f}",
        "difference ± standard error": f"{gap:+.4f} ± {error:.4f}",
    }


def table(result: Result) -> pd.DataFrame:
    """A row per data set and metric."""
    order = [*ROWS, KUAIRAND]
    rows = [
        {"": cell["data"], "figure": TITLES.get(metric, metric), **text(record)}
        for cell in sorted(result.cells, key=lambda cell: order.index(cell["data"]))
        for metric, record in cell.items()
        if metric != "data"
    ]
    return pd.DataFrame(rows).set_index("")


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "esmm_bottoms", seeds=10)
    parser.add_argument("raw", type=Path, nargs="?", help="KuaiRand-Pure's original files")
    given = parser.parse_args(arguments)
    study = Study(
        f"python -m benchmarks.papers.esmm_bottoms {'RAW ' if given.raw else ''}"
        f"--seeds {given.seeds}",
        Cell, partial(fit, given.raw, given.seeds, given.scale),
        {"seeds": given.seeds, "scale": given.scale}, given.out,
        metadata={
            "bottom parameters at 97 inputs": {
                "MMoE": size(nn.MMoE(97, 2)),
                "shared": size(equal_shared(97, 2)),
            }
        },
        shown=("AUC",),
    )  # fmt: skip
    if not given.table:
        names = [*ROWS, KUAIRAND] if given.raw else ROWS
        study.run([Cell(name) for name in names], given.workers)
    print(table(read(given.out)).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
