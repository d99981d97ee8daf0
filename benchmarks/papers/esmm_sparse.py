"""Whether naive < ESMM-NS < ESMM, the ESMM paper's order, appears where clicks are sparse.

    python benchmarks/papers/esmm_sparse.py [--rows 200000 1000000] [--seeds 5]
    python benchmarks/papers/esmm_sparse.py --part 0/2 & python benchmarks/papers/esmm_sparse.py --part 1/2

Scenario `sparse` (CTR 4%, CVR on clicks 2%, rho .8), on raw ids and with the default encodings. Each
seed is a scenario, a draw and a fit; all methods of a seed see the same rows, so that differences are
paired. Figures are AUC against the true CVR, on 400,000 test rows: on clicks, as the paper has it,
and over all impressions.

One more row tells what target encodings do to the order: `click_space` whose CVR network does not
see the ids' click histories (`own history`). Cells are written one at a time, so that an
interrupted run goes on where it stopped; parts write a file each, and `--table` prints what there
is and runs nothing.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from methods import as_part, measure, part_file, rounded

from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq._files import atomic_path
from mtl_seq.data import Encoding
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.models import Builder, FunnelModel
from mtl_seq.schema import FeatureSpec

RESULT = Path(__file__).parent / "results" / "sparse_order.json"
TEST_ROWS = 400_000
KEYS = ("rows", "seed", "encoding", "method")
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
Cell = tuple[int, int, str, str]


def own_history(spec: FeatureSpec, **settings: Any) -> FunnelModel:
    """`click_space` whose CVR network sees no id's click history."""
    clicks = tuple(name for name in spec.dense if name.endswith(":click"))
    hidden = {**spec.hidden_from, "conversion": clicks}
    return models.click_space(replace(spec, hidden_from=hidden), **settings)


# Every tower has MMoE experts, its own or shared: what differs is the loss and the sharing.
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


def planned(rows: Sequence[int], seeds: int) -> list[Cell]:
    """What the order is about first, seed by seed, so that what is finished is paired."""
    rest = tuple(name for name in METHODS if name not in FIRST)
    return [
        (size, seed, encoding, method)
        for some in (FIRST, rest)
        for seed in range(seeds)
        for size in rows
        for encoding in ENCODINGS
        for method in some
        if (encoding, method) != (RAW, OWN)
    ]


class Draw:
    """One seed's scenario, training rows and test rows."""

    def __init__(self, rows: int, seed: int) -> None:
        self.at = (rows, seed)
        self.scenario = simulate.scenario("sparse", seed=seed)
        self.log, self.log_truth = self.scenario.sample(rows, np.random.default_rng([seed, 1]))
        self.test, self.truth = self.scenario.sample(TEST_ROWS, np.random.default_rng([seed, 2]))

    def fit(self, encoding: str, method: str) -> dict[str, Any]:
        """A method's figures."""
        seed = self.at[1]
        start = time.perf_counter()
        estimator = FunnelEstimator(
            METHODS[method], self.scenario.schema, encoding=ENCODINGS[encoding], seed=seed
        ).fit(self.log, truth=self.log_truth)
        seconds = time.perf_counter() - start
        scores = estimator.predict(self.test)
        return {
            **measure(scores, self.test["click"].to_numpy() == 1, self.truth),
            "conversions": float(self.log["conversion"].sum()),
            "seconds": seconds,
        }


def read(out: Path) -> dict[Cell, dict[str, Any]]:
    """All finished cells, of the result and of every part beside it."""
    found = {}
    for path in (out, *sorted(out.parent.glob(f"{out.stem}.part-*.json"))):
        if path.exists():
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                found[tuple(cell[key] for key in KEYS)] = cell
    return found


def write(path: Path, cells: Mapping[Cell, Mapping[str, Any]]) -> None:
    content = {
        "command": "python benchmarks/papers/esmm_sparse.py",
        "test_rows": TEST_ROWS,
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
        "cells": [cells[cell] for cell in sorted(cells)],
    }
    with atomic_path(path) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def run(cells: Sequence[Cell], out: Path, part: tuple[int, int]) -> None:
    """Fit what this part has left to do; merge the parts where nobody has anything left."""
    index, parts = part
    path = part_file(out, part)
    mine = read(path) if path.exists() else {}
    draw: Draw | None = None
    groups = list(dict.fromkeys(cell[:3] for cell in cells))
    for cell in cells:
        if groups.index(cell[:3]) % parts != index or cell in read(out):
            continue
        if draw is None or draw.at != cell[:2]:
            draw = Draw(*cell[:2])
        figures = draw.fit(*cell[2:])
        mine[cell] = {**dict(zip(KEYS, cell, strict=True)), **rounded(figures)}
        write(path, mine)
        print(*cell, mine[cell]["AUC, clicks"], mine[cell]["seconds"], flush=True)
    found = read(out)
    if parts > 1 and set(cells) <= set(found):
        write(out, found)
        for left in out.parent.glob(f"{out.stem}.part-*.json"):
            left.unlink(missing_ok=True)


def figures(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The cells by rows, encoding, method and seed, of seeds that have all the order is about."""
    table = pd.DataFrame(found).set_index(["rows", "encoding", "method", "seed"]).sort_index()
    whole = {
        group
        for group, some in table.groupby(["rows", "encoding", "seed"])
        if set(FIRST) <= set(some.index.get_level_values("method"))
    }
    return table[[(size, encoding, seed) in whole for size, encoding, _, seed in table.index]]


def columns(table: pd.DataFrame) -> list[tuple[int, str]]:
    """Sizes and encodings."""
    return list(dict.fromkeys((size, encoding) for size, encoding, *_ in table.index))


def method_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Means over the seeds: a method a line, AUC on clicks and over all impressions."""
    table = figures(found)
    lines = []
    for method in METHODS:
        cells = []
        for group in columns(table):
            if (*group, method) in table.index.droplevel("seed"):
                mean = table.loc[(*group, method)].mean()
                cells.append(f"{mean['AUC, clicks']:.4f}, {mean['AUC, all']:.4f}")
            else:
                cells.append("")
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return [line for line in lines if "0." in line]


def difference_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """AUC on clicks, the second minus the first, paired over the seeds, ± standard error."""
    table = figures(found)["AUC, clicks"]
    lines = []
    for one, other in DIFFERENCES:
        cells = []
        for group in columns(table):
            methods = table.loc[group].index.unique("method")
            if one in methods and other in methods:
                apart = (table.loc[(*group, other)] - table.loc[(*group, one)]).dropna()
                error = f" ± {apart.sem():.4f}" if len(apart) > 1 else ""
                cells.append(f"{apart.mean():+.4f}{error}")
            else:
                cells.append("")
        lines.append(f"| `{other}` - `{one}` | " + " | ".join(cells) + " |")
    return [line for line in lines if "0." in line]


def head(found: Sequence[Mapping[str, Any]]) -> str:
    """The columns of both tables."""
    table = figures(found)
    cells = []
    for size, encoding in columns(table):
        seeds = table.loc[(size, encoding)].index.unique("seed")
        cells.append(f"{size:,} rows, {encoding}, {len(seeds)} seeds")
    return "| | " + " | ".join(cells) + " |\n|" + "---|" * (len(cells) + 1)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--part", type=as_part, default=(0, 1), help="such as 0/2")
    parser.add_argument("--table", action="store_true", help="only show what there is")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    if not given.table:
        cells = planned(given.rows, given.seeds)
        run([cell for cell in cells if cell[-1] in given.methods], given.out, given.part)
    found = list(read(given.out).values())
    if figures(found).empty:
        print("no seed has all that the order is about yet")
        return 0
    print(f"AUC against the true CVR, on clicks and over all impressions\n\n{head(found)}")
    print(*method_lines(found), sep="\n")
    print(f"\nAUC on clicks, paired over the seeds, ± standard error\n\n{head(found)}")
    print(*difference_lines(found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
