"""The package's claims on CVR bias, measured: `make claims`.

    python -m benchmarks.leaderboard.claims [--rows 1000000] [--seeds 3]

In `cvr_blind` (rho .8) the CVR tower does not see the user, who drives the click. There ESCM2-DR is
to have at most a third, and ESCM2-IPS at most half, of ESMM's bias: mean over seeds of the absolute
relative bias of the mean pCVR over all impressions. Beside it stands the same scenario with a tenth
of the variance in user x item tastes, which a propensity model hardly learns from this much data:
what it has not learned acts like a hidden confounder, and the correction is smaller.

Exit code 1 where a claim fails. The result is kept in benchmarks/results/claims.jsonl.gz.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.lib.results_store import read
from benchmarks.lib.study import Study, launch, parser_of
from mtl_seq import compare_models, simulate
from mtl_seq.experiments.compare import MODELS

SCENARIO = "cvr_blind"
CLAIMS = {"escm2_dr": 1 / 3, "escm2_ips": 1 / 2}
# By variance of user x item tastes: the models.
COMPARED = {0.0: tuple(MODELS), 0.1: ("multitask", "esmm", "escm2_ips", "escm2_dr")}
BIAS = "relative bias, all"
# Columns of the report's table, by the name under which they are kept.
SHOWN = {
    **{
        f"{metric}, all": (metric, "all") for metric in ("relative bias", "AUC", "log loss", "RMSE")
    },
    "gap closed": ("gap closed", "all"),
}


class Cell(NamedTuple):
    """Models compared under a seed."""

    interaction: float
    seed: int


def fit(cell: Cell, rows: int, test_rows: int) -> dict[str, Any]:
    """Metrics by model."""
    scenario = simulate.scenario(SCENARIO, seed=cell.seed, interaction=cell.interaction)
    builders = {name: MODELS[name] for name in COMPARED[cell.interaction]}
    report = compare_models(
        scenario, builders, seed=cell.seed, rows=rows, test_rows=test_rows, progress=True
    )
    columns = {name: report.table[at] for name, at in SHOWN.items() if at in report.table}
    return {"models": pd.DataFrame(columns).loc[list(builders)].to_dict("index")}


def by_model(out: str | Path = "claims") -> pd.DataFrame:
    """A row per variance of tastes, model and seed."""
    return (
        pd.DataFrame(
            {"interaction": cell["interaction"], "model": model, "seed": cell["seed"], **metrics}
            for cell in read(out).cells
            for model, metrics in cell["models"].items()
        )
        .set_index(["interaction", "model", "seed"])
        .sort_index()
    )


def ratios(table: pd.DataFrame, interaction: float = 0.0) -> dict[str, float]:
    """Mean absolute bias over that of ESMM, of the methods with a claim."""
    bias = table.loc[interaction, BIAS].abs().groupby("model").mean()
    return {name: float(bias[name] / bias["esmm"]) for name in CLAIMS}


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "claims")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--test-rows", type=int, default=200_000)
    given = parser.parse_args(arguments)
    settings = {"rows": given.rows, "test_rows": given.test_rows}
    command = f"python -m benchmarks.leaderboard.claims --rows {given.rows} --seeds {given.seeds}"
    spaces = {"spaces": "all impressions"}
    study = Study(command, Cell, partial(fit, **settings), settings, given.out, spaces)
    if not given.table:
        study.run([Cell(x, seed) for x in COMPARED for seed in range(given.seeds)], given.workers)
    table = by_model(given.out)
    summary = table.groupby(["interaction", "model"], sort=False).agg(["mean", "std"])
    print(summary.T.to_string(float_format="{:+.4f}".format))
    found = {interaction: ratios(table, interaction) for interaction in COMPARED}
    for name, limit in CLAIMS.items():
        plain, tastes = (found[interaction][name] for interaction in COMPARED)
        print(
            f"{name}: {plain:.3f} of ESMM's bias, at most {limit:.3f}: "
            f"{'holds' if plain <= limit else 'FAILS'}; {tastes:.3f} with user x item tastes"
        )
    return 0 if all(found[0.0][name] <= limit for name, limit in CLAIMS.items()) else 1


if __name__ == "__main__":
    sys.exit(launch(__spec__))
