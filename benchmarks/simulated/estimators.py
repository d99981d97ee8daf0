"""Estimators of the entire space over redraws of the clicks, in three scenarios of known truth.

    python -m benchmarks.simulated.estimators [--rows 200000] [--replicates 200] [--seed 0]

`dense` (CTR 20%), the same with little overlap (click slope 3, CTR 10%, rho .8), and `hidden`,
where an unlogged confounder moves click and conversion. In each a multi-task model is learned on a
first draw, and the estimators are computed on a second one. Every row of every study is kept in
benchmarks/results/estimators.jsonl.gz; docs/estimators.md shows the forest plot of the first.

Exit code 1 where a measured bias is further than 4 Monte Carlo errors from its formula.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.lib.pages import ROOT
from benchmarks.lib.results_store import path_of, rounded, write
from mtl_seq import simulate
from mtl_seq.experiments.compare import versions
from mtl_seq.experiments.estimators import study_estimators

FLOORS = (0.1, 0.03, 0.01, 0.003, 0.001)
STUDIES: dict[str, tuple[str, dict[str, float], tuple[float, ...]]] = {
    "dense": ("dense", {}, FLOORS[:1]),
    "little overlap": ("dense", {"click_slope": 3.0, "ctr": 0.1, "rho": 0.8}, FLOORS),
    "hidden": ("hidden", {}, FLOORS[:1]),
}
ERRORS = 4


def percent(row: dict[str, Any], column: str, specification: str) -> str:
    """A figure in percent of the truth, without a sign where it is 0."""
    return format(round(100 * row[column] / row["truth"], 1) + 0.0, specification)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=path_of("estimators"))
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "estimators.png")
    given = parser.parse_args()
    studies, cells = {}, []
    for name, (scenario, parameters, floors) in STUDIES.items():
        study = study_estimators(
            simulate.scenario(scenario, seed=given.seed, **parameters),
            rows=given.rows,
            fit_rows=given.rows,
            replicates=given.replicates,
            floors=floors,
            seed=given.seed,
            metadata={"scenario": scenario, "parameters": parameters},
        )
        table = study.table
        off = ((table["bias"] - table["analytic_bias"]) / table["mc_error"]).abs().max()
        print(f"\n{name}; over all impressions\n{table.to_string()}")
        print(f"farthest from its formula: {off:.2f} Monte Carlo errors")
        if name == "dense":
            study.plot(given.figure)
        content = study.to_dict()
        cells += [{"study": name, **rounded(row, 6)} for row in content.pop("rows")]
        studies[name] = {**content, "farthest_mc_errors": round(float(off), 2)}
    metadata = {
        "command": f"python -m benchmarks.simulated.estimators --rows {given.rows} --replicates "
        f"{given.replicates} --seed {given.seed}",
        "versions": versions(),
        "space": "all impressions",
        "studies": studies,
    }
    write(given.out, metadata, cells)
    return 0 if all(study["farthest_mc_errors"] <= ERRORS for study in studies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
