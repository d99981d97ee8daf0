"""The leaderboard: every method in every named scenario, and what follows for a practitioner.

    make leaderboard
    python benchmarks/leaderboard/run.py --table

Cells are those of benchmarks/leaderboard/methods.py: a method in a scenario under a seed, the estimator's
defaults, the one checkpoint rule, the same rows for every method. First every method with three
seeds; then the control, ESMM, the two ends of the gap (naive and oracle) and the five methods of
least mean regret with ten. Cells are kept one at a time, so that an interrupted run goes on;
`--reuse` takes finished cells of the same settings from another result, `--table` runs nothing.
Written are benchmarks/results/leaderboard.json and docs/leaderboard.html.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import methods
import pandas as pd
from joblib import Parallel, delayed
from leaderboard_html import page
from leaderboard_table import NOISE, conclusions, standings, without_standing
from methods_table import summarise

from mtl_seq import simulate
from mtl_seq._files import atomic_path, write_json
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE

RESULT = Path(__file__).parent / "results" / "leaderboard.json"
CELLS = Path(__file__).parent / "results" / "leaderboard_cells.json"
PAGE = Path(__file__).parents[1] / "docs" / "leaderboard.html"
ALWAYS, BEST = ("click_space", "multitask", "esmm", "oracle"), 5
Records = Mapping[methods.Cell, Mapping[str, Any]]


def board(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Standings, figures by scenario, and conclusions, all JSON-ready."""
    table = summarise(records)
    overall, by_scenario = standings(records, table)
    return {
        "standings": _rows(overall),
        "without standing": without_standing(table, overall.index),
        "by scenario": _rows(by_scenario),
        "conclusions": conclusions(records, overall, by_scenario),
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Five digits; JSON has no NaN."""
    rows = frame.reset_index().to_dict("records")
    return [
        {
            name: (None if pd.isna(x) else round(x, 5)) if isinstance(x, float) else x
            for name, x in row.items()
        }
        for row in rows
    ]


def ensure(
    cells: list[methods.Cell], out: Path, settings: Mapping[str, int], workers: int
) -> Records:
    """Fit what is left of some cells, on several processes."""
    if workers == 1:
        methods.run(cells, out, (0, 1), settings)
    else:
        Parallel(workers)(
            delayed(methods.run)(cells, out, (index, workers), settings) for index in range(workers)
        )
    return methods.read_cells(out, settings)


def finalists(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The control, ESMM, the ends of the gap, and the methods of least mean regret."""
    overall, _ = standings(records, summarise(records))
    return list(dict.fromkeys((*ALWAYS, *overall.index[:BEST])))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--test-rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--final-seeds", type=int, default=10)
    parser.add_argument("--scenarios", nargs="+", default=list(simulate.scenarios()))
    parser.add_argument("--methods", nargs="+", default=list(methods.METHODS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--reuse", type=Path, nargs="*", default=[])
    parser.add_argument("--table", action="store_true", help="only show what there is")
    parser.add_argument("--cells", type=Path, default=CELLS)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    if "multitask" not in given.methods:
        parser.error("--methods must hold multitask: log losses are compared by way of the control")
    settings = {"rows": given.rows, "test_rows": given.test_rows}
    found = dict(methods.read_cells(given.cells, settings))
    for other in given.reuse:
        found = {**methods.read_cells(other, settings), **found}
    if given.reuse and not given.table:
        methods.write_cells(given.cells, found, settings)

    def cells_of(seeds: int, names: Sequence[str]) -> list[methods.Cell]:
        return [
            (seed, scenario, method)
            for seed in range(seeds)
            for scenario in given.scenarios
            for method in names
        ]

    every = cells_of(given.seeds, given.methods)
    if not given.table:
        found = ensure(every, given.cells, settings, given.workers)
    first = [found[cell] for cell in every if cell in found]
    chosen = finalists(first) if len(first) == len(every) else []
    last = cells_of(given.final_seeds, [m for m in chosen if m in given.methods])
    if not given.table:
        found = ensure(last, given.cells, settings, given.workers)
    records = [found[cell] for cell in sorted(found)]
    if not records:
        print("no finished cell yet")
        return 0
    scenarios = {cell[1] for cell in found}
    said = [word for word in arguments or sys.argv[1:] if word != "--table"]
    made = {
        "command": shlex.join(["python", "benchmarks/leaderboard/run.py", *said]),
        "versions": versions(),
        "settings": settings,
        "checkpoint_rule": CHECKPOINT_RULE,
        "spaces": "all impressions, against the true CVR",
        "noise": NOISE,
        "scenarios": {
            name: text for name, text in simulate.scenarios().items() if name in scenarios
        },
        "scenarios": f"{len(scenarios)} of {len(simulate.scenarios())}",
        "cells left": len({*every, *last} - set(found)),
        **board(records),
    }
    write_json(given.out, made, kind="mtl_seq.leaderboard", version=1)
    with atomic_path(given.page) as aside:
        aside.write_text(page(made), encoding="utf-8")
    print(pd.DataFrame(made["standings"]).to_string(index=False))
    print(*made["conclusions"], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
