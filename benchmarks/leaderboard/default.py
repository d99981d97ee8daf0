"""Whether `models.targeted` reaches what a default should: bias, gap closed, spread over seeds.

    python benchmarks/leaderboard/default.py        # resumable
    python benchmarks/leaderboard/default_page.py   # the tables of docs/default.md, from the kept result

A cell is a method in a scenario under a seed, as in benchmarks/leaderboard/methods.py: the same rows for every
method of a seed, the estimator's defaults, the one checkpoint rule. The recipe was chosen on seeds
0 and 1; seeds from 2 on are measured here, in the scenarios that have a goal. How it stands among all
methods in all scenarios is benchmarks/leaderboard/run.py.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cells import keep, kept
from methods import fit_and_measure, rounded

from mtl_seq.errors import DataError
from mtl_seq.fit import CHECKPOINT_RULE

RESULT = Path(__file__).parent / "results" / "default.json"
FIRST_SEED = 2
# By scenario: the scenario, and what is turned in it.
GOALS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "cvr_blind, rho .8": ("cvr_blind", {"rho": 0.8}),
    "cvr_blind, rho -.8": ("cvr_blind", {"rho": -0.8}),
    "sparse, rho .8": ("sparse", {"rho": 0.8}),
    "low_overlap": ("low_overlap", {}),
}
METHODS = ("click_space", "multitask", "esmm", "default", "oracle")


class Cell(NamedTuple):
    """A method in a scenario under a seed."""

    scenario: str
    method: str
    seed: int


def planned(seeds: int) -> list[Cell]:
    """All cells."""
    every = range(FIRST_SEED, FIRST_SEED + seeds)
    return [
        Cell(scenario, method, seed) for seed in every for scenario in GOALS for method in METHODS
    ]


def measured(cell: Cell, rows: int, test_rows: int) -> dict[str, Any]:
    """Fit and measure; too few rows are said so."""
    scenario, parameters = GOALS[cell.scenario]
    try:
        found = fit_and_measure((cell.seed, scenario, cell.method), rows, test_rows, **parameters)
    except DataError as error:
        return {**cell._asdict(), "error": str(error)}
    return {**cell._asdict(), **rounded(found)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--test-rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    settings = {"rows": given.rows, "test_rows": given.test_rows}
    command = shlex.join(
        ["python", "benchmarks/leaderboard/default.py", *(arguments or sys.argv[1:])]
    )
    said = {
        "checkpoint_rule": CHECKPOINT_RULE,
        "spaces": "over all impressions, against the true CVR, where a figure does not say clicks",
        "seeds": f"from {FIRST_SEED} on; the recipe was chosen on 0 and 1",
    }
    cells = dict(kept(given.out, Cell, settings))
    plan = planned(given.seeds)
    for number, cell in enumerate(plan, 1):
        if cell in cells:
            continue
        cells[cell] = measured(cell, given.rows, given.test_rows)
        keep(given.out, command, settings, cells, **said)
        shown = cells[cell]
        print(
            f"{number}/{len(plan)} {cell.scenario}, {cell.method}, seed {cell.seed}: "
            f"log loss {shown.get('log loss, all')}, bias {shown.get('relative bias, all')}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
