"""How well the learned dependence of click and conversion corrects pCVR, and how well it knows.

    python benchmarks/simulated/dependence.py
    python benchmarks/simulated/dependence.py --part 0/2 & python benchmarks/simulated/dependence.py --part 1/2

Scenarios of the named scenarios with ten positions given at random, which move the click's logit by
``-effect * log(position)``. A cell is a method in a scenario under a seed; all methods of a seed see
the same rows, under the estimator's defaults and the one checkpoint rule. Cells are written one at
a time, so that an interrupted run goes on where it stopped; parts write a file each, and whichever
ends last merges them into benchmarks/results/dependence.json and prints the tables. `--table`
prints what there is and runs nothing.
"""

import argparse
import inspect
import json
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dependence_table import print_tables
from methods import as_part, measure, part_file, rounded

from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq._files import atomic_path
from mtl_seq.dependence.find import applied_log_odds_ratio
from mtl_seq.errors import SelectionWarning
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.fit.prediction import score_rows
from mtl_seq.models import Builder, DependenceConfig

RESULT = Path(__file__).parent / "results" / "dependence.json"
SLOTS = 10
EFFECTS = {"full": 1.0, "half": 0.5, "quarter": 0.25, "none": 0.0}
BUILDERS: Mapping[str, Builder] = {
    "esmm": models.esmm,
    "escm2_dr": models.escm2_dr,
    "oracle": models.oracle,
}
OURS = "esmm_dependent"
Cell = tuple[str, str, str, int, str]
"""Scenario, rate, effect, seed, method."""

# By rate: parameters of the scenario, training and test rows.
RATES: Mapping[str, tuple[Mapping[str, float], int, int]] = {
    "CTR 20%": ({}, 200_000, 100_000),
    "CTR 4%": ({"ctr": 0.04, "cvr": 0.04}, 1_000_000, 200_000),
}


def planned() -> list[Cell]:
    """All cells, those first that say most."""
    common, rare = RATES
    hidden = ("mnar", "hidden")

    def cells(
        scenarios: Iterable[str], rate: str, effects: Iterable[str], seeds: range, *methods: str
    ) -> list[Cell]:
        return [
            (scenario, rate, effect, seed, method)
            for effect in effects
            for seed in seeds
            for scenario in scenarios
            for method in methods
        ]

    clean = ("dense", "cvr_blind")
    order = [
        *cells(hidden, common, ["full"], range(10), OURS, "esmm"),
        *cells(hidden, common, ["none"], range(10), OURS),
        *cells(clean, common, ["full"], range(5), OURS, "esmm"),
        *cells(hidden, rare, ["full"], range(1), OURS, "esmm"),
        *cells(hidden, common, ["full"], range(2), "escm2_dr", "oracle"),
        *cells(hidden, common, ["half", "quarter"], range(3), OURS),
        *cells(clean, common, ["full"], range(10), OURS, "esmm"),
        *cells(hidden, rare, ["none"], range(1), OURS, "esmm"),
        *cells(clean, common, ["full"], range(10, 50), OURS),
        *cells(hidden, common, ["half", "quarter"], range(10), OURS),
        *cells(hidden, rare, ["full", "none"], range(3), OURS, "esmm"),
        *cells(hidden, common, ["none", "half", "quarter"], range(10), "esmm"),
        *cells(hidden, common, ["full", "none"], range(10), "escm2_dr", "oracle"),
        *cells(clean, common, ["full"], range(10, 50), "esmm"),
    ]
    return list(dict.fromkeys(order))


def scenario_of(scenario: str, rate: str, effect: str, seed: int) -> simulate.LogisticFunnel:
    """The scenario of a cell."""
    parameters: dict[str, Any] = dict(RATES[rate][0])
    parameters["exposure"] = {
        "policy": "uniform",
        "slots": SLOTS,
        "position_effect": EFFECTS[effect],
    }
    return simulate.scenario(scenario, seed=seed, **parameters)


def fit_and_measure(cell: Cell) -> dict[str, Any]:
    """Draw, fit, predict, and hold the predictions to the truth."""
    scenario, rate, effect, seed, method = cell
    _, rows, test_rows = RATES[rate]
    simulator = scenario_of(scenario, rate, effect, seed)
    log, truth = simulator.sample(rows, np.random.default_rng([seed, 1]))
    test, test_truth = simulator.sample(test_rows, np.random.default_rng([seed, 2]))
    click = test["click"].to_numpy() == 1
    start = time.perf_counter()
    if method != OURS:
        estimator = FunnelEstimator(BUILDERS[method], simulator.schema, seed=seed).fit(log, truth)
        scores = estimator.predict(test)
        return {**measure(scores, click, test_truth), "seconds": time.perf_counter() - start}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        estimator = FunnelEstimator(models.esmm_dependent, simulator.schema, seed=seed).fit(log)
    scores = estimator.predict(test)
    seconds = time.perf_counter() - start
    found = estimator.dependence_
    assert found is not None
    network, codec = estimator.model_.network, estimator.codec_
    # The network with lambda held at 0 is the control, `multitask`, to the bit.
    base = score_rows(network, codec.encode(test, labels=False))
    shrunk = replace(
        found, log_odds_ratio=applied_log_odds_ratio(DependenceConfig(shrink=True), found.test)
    )
    ceiling = float(test_truth.pcvr_clicked.mean() / test_truth.pcvr.mean() - 1)
    return {
        **measure(scores, click, test_truth),
        "multitask": rounded(measure(pd.DataFrame(base._asdict()), click, test_truth)),
        "shrunk": rounded(
            {"lambda": shrunk.log_odds_ratio}
            | measure(pd.DataFrame(shrunk.apply(network, codec, test)._asdict()), click, test_truth)
        ),
        "lambda": found.test.log_odds_ratio,
        "standard error": found.test.standard_error,
        "t": found.test.t,
        "verdict": found.test.verdict,
        "strength": found.test.strength,
        "level share": found.shares.source,
        "relative bias of P(r | x, click), all": ceiling,
        "seconds": seconds,
    }


def key(record: Mapping[str, Any]) -> Cell:
    return tuple(record[name] for name in ("scenario", "rate", "effect", "seed", "method"))  # type: ignore[return-value]


def read_cells(out: Path) -> dict[Cell, dict[str, Any]]:
    """All finished cells, of the result and of every part beside it."""
    found: dict[Cell, dict[str, Any]] = {}
    for path in (out, *sorted(out.parent.glob(f"{out.stem}.part-*.json"))):
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            found.update({key(record): record for record in content["cells"]})
    return found


def write_cells(path: Path, cells: Mapping[Cell, Mapping[str, Any]]) -> None:
    content = {
        "command": "python benchmarks/simulated/dependence.py",
        "settings": {
            "slots": SLOTS,
            "effects": EFFECTS,
            "rates": {
                rate: [dict(parameters), *rows] for rate, (parameters, *rows) in RATES.items()
            },
        },
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
        "cells": [cells[cell] for cell in sorted(cells)],
    }
    with atomic_path(path) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def run(cells: list[Cell], out: Path, part: tuple[int, int]) -> dict[Cell, dict[str, Any]]:
    """Fit what this part has left to do, and merge the parts where nobody has anything left."""
    index, parts = part
    path = part_file(out, part)
    mine = read_cells(path) if path.exists() else {}
    for number, cell in enumerate(cells):
        # In pairs, since the cells of ours take longer than those between them.
        if number // 2 % parts != index or cell in read_cells(out):
            continue
        names = ("scenario", "rate", "effect", "seed", "method")
        mine[cell] = {**dict(zip(names, cell, strict=True)), **rounded_deep(fit_and_measure(cell))}
        write_cells(path, mine)
        said = ("relative bias, all", "lambda", "standard error", "verdict", "seconds")
        told = ", ".join(f"{name} {mine[cell][name]}" for name in said if name in mine[cell])
        print(f"{number + 1}/{len(cells)} {cell}: {told}", flush=True)
    found = read_cells(out)
    if set(cells) <= set(found):
        write_cells(out, found)
        for left in out.parent.glob(f"{out.stem}.part-*.json"):
            left.unlink(missing_ok=True)
    return found


def rounded_deep(figures: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in figures.items() if not isinstance(value, dict)}
    return {**rounded(plain), **{n: v for n, v in figures.items() if isinstance(v, dict)}}


def main(arguments: list[str] | None = None) -> int:
    description = inspect.getdoc(sys.modules[__name__]) or ""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--part", type=as_part, default=(0, 1), help="such as 0/2")
    parser.add_argument("--only", nargs="+", help="scenarios")
    parser.add_argument("--table", action="store_true", help="only show what there is")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    cells = [cell for cell in planned() if given.only is None or cell[0] in given.only]
    if given.table:
        print_tables(list(read_cells(given.out).values()))
        return 0
    found = run(cells, given.out, given.part)
    left = set(cells) - set(found)
    if left:
        print(f"{len(left)} cells are left to the other parts")
        return 0
    print_tables(list(found.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
