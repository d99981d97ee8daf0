"""Test the ESMM paper's order, naive < ESMM-NS < ESMM, where clicks are sparse.

    python -m benchmarks.papers.esmm_sparse [--seeds 5]

Scenario `sparse` (CTR 4%, CVR on clicks 2%, rho .8), on raw ids and with the default encodings. A
cell is a number of rows, a seed, an encoding and a method; all methods of a seed see the same rows,
so that differences are paired. Metrics are AUC against the true CVR, on 400,000 test rows: on
clicks, as in the paper, and over all impressions.

One more row shows how target encodings change the order: `click_space` whose CVR network does not
see the ids' click histories (`own history`).
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.lib.metrics import measure, paired
from benchmarks.lib.results_store import Result, read
from benchmarks.lib.study import Draw, Study, draw, launch, parser_of
from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.models import Builder, FunnelModel
from mtl_seq.schema import FeatureSpec

ROWS = (200_000, 1_000_000)
TEST_ROWS = 400_000
RAW, DEFAULT = "raw ids", "target encodings"
ENCODINGS = {RAW: Encoding(target_encoding=None), DEFAULT: Encoding()}
OWN = "click_space, own history"
DIFFERENCES = (
    ("click_space", "aman"),
    ("click_space", "esmm_ns"),
    ("esmm_ns", "esmm"),
    ("click_space", "esmm"),
    ("click_space", "multitask"),
    ("multitask", "esmm"),
    (OWN, "click_space"),
)


def own_history(spec: FeatureSpec, **settings: Any) -> FunnelModel:
    """Build `click_space` whose CVR network sees no id's click history."""
    clicks = tuple(name for name in spec.dense if name.endswith(":click"))
    hidden = {**spec.hidden_from, "conversion": clicks}
    return models.click_space(replace(spec, hidden_from=hidden), **settings)


# Every tower has MMoE experts, its own or shared: only the loss and the sharing differ.
METHODS: Mapping[str, Builder] = {
    "click_space": models.click_space,
    "esmm_ns": partial(models.esmm_ns, bottom=nn.MMoE),
    "esmm": models.esmm,
    "multitask": models.multitask,
    "aman": models.aman,
    "oracle": models.oracle,
    OWN: own_history,
}
FIRST = ("click_space", "esmm_ns", "esmm", "multitask")


class Cell(NamedTuple):
    """A fit."""

    rows: int
    seed: int
    encoding: str
    method: str


def planned(rows: Sequence[int], seeds: int) -> list[Cell]:
    """Cells of the compared methods first, seed by seed, so that what is finished is paired."""
    rest = tuple(name for name in METHODS if name not in FIRST)
    return [
        Cell(size, seed, encoding, method)
        for methods in (FIRST, rest)
        for seed in range(seeds)
        for size in rows
        for encoding in ENCODINGS
        for method in methods
        if (encoding, method) != (RAW, OWN)
    ]


@lru_cache(maxsize=1)
def drawn(rows: int, test_rows: int, seed: int) -> Draw:
    """Draw the rows that all methods of a seed see."""
    return draw(simulate.scenario("sparse", seed=seed), rows, test_rows, seed)


def fit(test_rows: int, cell: Cell) -> dict[str, Any]:
    """Metrics of a cell."""
    rows = drawn(cell.rows, test_rows, cell.seed)
    start = time.perf_counter()
    estimator = FunnelEstimator(
        METHODS[cell.method], rows.scenario.schema, encoding=ENCODINGS[cell.encoding],
        seed=cell.seed,
    ).fit(rows.log, truth=rows.truth)  # fmt: skip
    seconds = time.perf_counter() - start
    return {
        **measure(estimator.predict(rows.test), rows.click, rows.test_truth),
        "conversions": float(rows.log["conversion"].sum()),
        "seconds": seconds,
    }


class Tables:
    """Cells of the seeds that have all methods of `FIRST`, by rows and encoding."""

    def __init__(self, result: Result) -> None:
        frame = result.frame("rows", "encoding", "method", "seed").sort_index()
        groups = frame.groupby(["rows", "encoding", "seed"])
        self.frame = groups.filter(lambda part: set(FIRST) <= set(part.index.unique("method")))
        self.columns = {}
        for (rows, encoding), part in self.frame.groupby(["rows", "encoding"]):
            title = f"{rows:,} rows, {encoding}, {part.index.unique('seed').size} seeds"
            self.columns[title] = part.droplevel(["rows", "encoding"])

    def methods(self) -> pd.DataFrame:
        """AUC on clicks and over all impressions, means over the seeds."""
        columns = {}
        for title, part in self.columns.items():
            mean = part.groupby("method")[["AUC, clicks", "AUC, all"]].mean()
            columns[title] = mean.map("{:.4f}".format).agg(", ".join, axis=1)
        table = pd.DataFrame(columns).reindex(
            [m for m in METHODS if m in self.frame.index.levels[2]]
        )
        return table.rename(index="`{}`".format)

    def differences(self) -> pd.DataFrame:
        """AUC on clicks, differences paired over the seeds, ± standard error."""
        rows = {}
        for one, other in DIFFERENCES:
            pairs = {
                title: paired(part["AUC, clicks"], other, one)
                for title, part in self.columns.items()
            }
            if any(pair.seeds for pair in pairs.values()):
                rows[f"`{other}` - `{one}`"] = {
                    title: pair.text() if pair.seeds else "" for title, pair in pairs.items()
                }
        return pd.DataFrame(rows).T


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "esmm_sparse", seeds=5)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    given = parser.parse_args(arguments)
    test_rows = int(given.scale * TEST_ROWS)
    study = Study(
        f"python -m benchmarks.papers.esmm_sparse --seeds {given.seeds}",
        Cell, partial(fit, test_rows), {"test_rows": test_rows}, given.out,
        shown=("AUC, clicks", "seconds"),
    )  # fmt: skip
    if not given.table:
        cells = planned([int(given.scale * rows) for rows in ROWS], given.seeds)
        study.run([cell for cell in cells if cell.method in given.methods], given.workers)
    tables = Tables(read(given.out))
    print(f"AUC against the true CVR on clicks, and over all impressions\n{tables.methods()}")
    print(f"\nAUC on clicks, paired over the seeds, ± standard error\n{tables.differences()}")
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
