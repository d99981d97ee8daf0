"""Estimators of the entire space over redraws of the clicks, in three scenarios of known truth.

    python benchmarks/simulated/estimators.py [--rows 200000] [--replicates 200] [--seed 0]

`dense` (CTR 20%), the same with little overlap (click slope 3, CTR 10%, rho .8), and `hidden`,
where a confounder nobody logs moves click and conversion. In each a multi-task model is learned on
a first draw, and the estimators meet a second one. Every row of every study is kept in
benchmarks/results/estimators.json; docs/estimators.md shows the forest plot of the first.

Exit code 1 where a measured bias is further than 4 Monte Carlo errors from its formula.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import pandas as pd

from mtl_seq import simulate
from mtl_seq.experiments.compare import versions
from mtl_seq.experiments.estimators import study_estimators

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "estimators.json"
FIGURE = ROOT / "docs" / "estimators.png"
FLOORS = (0.1, 0.03, 0.01, 0.003, 0.001)
WORLDS = {
    "dense": ("dense", {}, FLOORS[:1]),
    "little overlap": ("dense", {"click_slope": 3.0, "ctr": 0.1, "rho": 0.8}, FLOORS),
    "hidden": ("hidden", {}, FLOORS[:1]),
}
DIGITS = 6
ERRORS = 4
COLUMNS = {
    "bias": ("bias", "+.1f"),
    "by formula": ("analytic_bias", "+.1f"),
    "sd": ("sd", ".1f"),
    "RMSE": ("rmse", ".1f"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args()
    kept, farthest = {}, 0.0
    for name, (scenario, parameters, floors) in WORLDS.items():
        start = time.perf_counter()
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
        off = ((table["bias"] - table["analytic_bias"]) / table["mc_error"]).abs()
        farthest = max(farthest, float(off.max()))
        print(f"\n{name}, {time.perf_counter() - start:.0f} s; over all impressions")
        print(in_markdown(table))
        print(f"farthest from its formula: {off.max():.2f} Monte Carlo errors")
        if name == "dense":
            study.plot(given.figure)
        content = study.to_dict()
        for row in content["rows"]:
            # Adding 0 turns a negative zero into a positive one.
            row.update({k: round(x, DIGITS) + 0.0 for k, x in row.items() if isinstance(x, float)})
        kept[name] = {**content, "farthest_mc_errors": round(float(off.max()), 2)}
    result = {
        "command": f"python benchmarks/simulated/estimators.py --rows {given.rows} --replicates "
        f"{given.replicates} --seed {given.seed}",
        "versions": versions(),
        "space": "all impressions",
        "scenarios": kept,
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if farthest <= ERRORS else 1


def in_markdown(table: pd.DataFrame) -> str:
    """A row per estimator and nuisances; bias, sd and RMSE of each estimand in percent of it."""
    parts = [rows.reset_index(drop=True) for _, rows in table.groupby("estimand", sort=False)]
    heads = [f"{part['estimand'][0]}: {name}" for part in parts for name in COLUMNS]
    lines = [["estimator", "propensity", "imputed CVR", *heads]]
    lines.append(["---"] * len(lines[0]))
    for i in range(len(parts[0])):
        figures = [part.loc[i] for part in parts]
        lines.append(
            [
                *figures[0][["estimator", "propensity", "imputation"]],
                *(
                    f"{round(100 * row[column] / row['truth'], 1) + 0.0:{form}}"
                    for row in figures
                    for column, form in COLUMNS.values()
                ),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
