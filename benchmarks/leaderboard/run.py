"""The leaderboard: every method in every named scenario, and what follows for a practitioner.

    make leaderboard
    python -m benchmarks.leaderboard.run --table

Cells are those of benchmarks.leaderboard.methods: a method in a scenario under a seed, the
estimator's defaults, the one checkpoint rule, the same rows for every method. First every method
with three seeds; then the control, ESMM, the two ends of the gap (naive and oracle) and the five
methods of least mean regret with ten. Cells are kept one at a time in
benchmarks/results/leaderboard.jsonl.gz, so that an interrupted run resumes; `--reuse` takes
finished cells of the same settings from another result, `--table` fits nothing. The pages
(docs/leaderboard.html, docs/choosing.md, README.md) are rendered by `make pages`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.leaderboard import methods
from benchmarks.leaderboard.methods import Cell
from benchmarks.leaderboard.standings import board
from benchmarks.lib.study import parser_of
from mtl_seq import simulate

ALWAYS, BEST = ("click_space", "multitask", "esmm", "oracle"), 5
Records = Mapping[Cell, Mapping[str, Any]]


def planned(seeds: int, scenarios: Sequence[str], names: Sequence[str]) -> list[Cell]:
    """Cells of some methods, seed by seed."""
    return [
        Cell(seed, scenario, method)
        for seed in range(seeds)
        for scenario in scenarios
        for method in names
    ]


def finalists(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The control, ESMM, the ends of the gap, and the methods of least mean regret."""
    return list(dict.fromkeys((*ALWAYS, *board(records).overall.index[:BEST])))


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "leaderboard")
    parser.add_argument("--rows", type=int, default=methods.ROWS)
    parser.add_argument("--test-rows", type=int, default=methods.TEST_ROWS)
    parser.add_argument("--final-seeds", type=int, default=10)
    parser.add_argument("--scenarios", nargs="+", default=list(simulate.scenarios()))
    parser.add_argument("--methods", nargs="+", default=list(methods.METHODS))
    parser.add_argument("--reuse", type=Path, nargs="*", default=[])
    given = parser.parse_args(arguments)
    if "multitask" not in given.methods:
        parser.error("--methods must hold multitask: log losses are compared through the control")
    command = (
        f"python -m benchmarks.leaderboard.run --seeds {given.seeds} --final-seeds "
        f"{given.final_seeds}"
    )
    study = methods.study_of(command, given.out, given.rows, given.test_rows)
    every = planned(given.seeds, given.scenarios, given.methods)
    found = (
        study.kept(*given.reuse) if given.table else study.run(every, given.workers, given.reuse)
    )
    if set(every) <= set(found) and not given.table:
        chosen = [m for m in finalists([found[c] for c in every]) if m in given.methods]
        last = planned(given.final_seeds, given.scenarios, chosen)
        found = study.run(last, given.workers)
    if not found:
        print("no finished cell yet")
        return 0
    made = board([found[cell] for cell in sorted(found)])
    print(made.overall.to_string())
    print(*made.conclusions, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
