"""Every method in five scenarios: how well it ranks, how wrong it is, how biased.

    python benchmarks/leaderboard/methods.py [--rows 200000] [--seeds 3]
    python benchmarks/leaderboard/methods.py --part 0/2 & python benchmarks/leaderboard/methods.py --part 1/2

A cell is a method in a scenario under a seed; the three draw the same rows for every method and train
it under the one checkpoint rule with the estimator's defaults. Cells are written one at a time, so
that an interrupted run goes on where it stopped. Parts write a file each; whichever ends last
merges them into benchmarks/results/methods.json, prints the table and draws docs/methods.png.
`--table` does that with what there is and runs nothing.
"""

import argparse
import inspect
import json
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from methods_table import draw, print_table, summarise

from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq._files import atomic_path
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.experiments.compare import ALL, versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.functional import auc
from mtl_seq.losses import CrossFit, MovingAverage, PropensityPolicy
from mtl_seq.models import Builder
from mtl_seq.records import FunnelTruth

SCENARIOS = ("dense", "sparse", "cvr_blind", "ctr_blind", "hidden")
RESULT = Path(__file__).parent / "results" / "methods.json"
FIGURE = Path(__file__).parents[1] / "docs" / "methods.png"
# The control on other bottoms: benchmarks/performance/bottoms.py and esmm_bottoms.py are about those.
BOTTOMS = ("mmoe", "omoe", "ple", "shared_bottom", "single_task")
OPTIONS: Mapping[str, Builder] = {
    "escm2_ips, floor .1": partial(models.escm2_ips, propensity=PropensityPolicy(floor=0.1)),
    "multi_ipw, moving average": partial(
        models.multi_ipw, propensity=PropensityPolicy(source=MovingAverage())
    ),
    "multi_ipw, cross-fitted": partial(
        models.multi_ipw, propensity=PropensityPolicy(source=CrossFit())
    ),
    "dcmt, prior 1": partial(models.dcmt, prior=1.0),
    "ddpo, hard labels": partial(models.ddpo, soft_labels=False),
}
# By family, so that the table and the figure can be read; what is not named comes before them.
ORDER = (
    *("click_space", "multitask", "aman", "oversampling", "unbias", "division"),
    *("esmm_ns", "esmm", "dbmtl", "aitm"),
    *("ips", "snips", "multi_ipw", "multi_ipw, moving average", "multi_ipw, cross-fitted"),
    *("escm2_ips", "escm2_ips, floor .1", "dcmt", "dcmt, prior 1", "chorus_cvr"),
    *("multi_dr", "escm2_dr", "dr_jl", "sn_dr", "mrdr", "dr_bias", "dr_mse"),
    *("nise", "ddpo", "ddpo, hard labels", "reweighted"),
    *("pairwise_ranker", "lambda_ranker", "default", "oracle"),
)
METHODS: Mapping[str, Builder] = dict(
    sorted(
        ((name, b) for name, b in {**ALL, **OPTIONS}.items() if name not in BOTTOMS),
        key=lambda named: ORDER.index(named[0]) if named[0] in ORDER else -1,
    )
)
SAID = ("relative bias, all", "log loss, all", "AUC, all", "seconds")
Cell = tuple[int, str, str]
"""Seed, scenario, method."""


def fit_and_measure(cell: Cell, rows: int, test_rows: int, **parameters: Any) -> dict[str, Any]:
    """Draw, fit, predict, and hold the prediction to the truth; parameters are the scenario's."""
    seed, scenario, method = cell
    simulator = simulate.scenario(scenario, seed=seed, **parameters)
    log, truth = simulator.sample(rows, np.random.default_rng([seed, 1]))
    test, test_truth = simulator.sample(test_rows, np.random.default_rng([seed, 2]))
    torch.set_num_threads(1)
    start = time.process_time()  # of one thread, so that other work beside it counts little
    estimator = FunnelEstimator(METHODS[method], simulator.schema, seed=seed).fit(log, truth=truth)
    seconds = time.process_time() - start
    scores = estimator.predict(test)
    figures = measure(scores, test["click"].to_numpy() == 1, test_truth)
    # What a method that assumes nothing hidden has at best.
    ceiling = float(test_truth.pcvr_clicked.mean() / test_truth.pcvr.mean() - 1)
    weights = {
        name.removeprefix("cvr/"): value
        for name, value in estimator.run_.training_history[-1].items()
        if name.startswith("cvr/")
    }
    return {
        **figures,
        **weights,
        "relative bias of P(r | x, click), all": ceiling,
        "seconds": seconds,
    }


def measure(scores: Any, click: np.ndarray, truth: FunnelTruth) -> dict[str, float]:
    """Figures by name, each of which says on which impressions it is."""
    if "pcvr" not in scores:  # a ranker: an order and no probability
        score = scores["score"].to_numpy()
        return {"AUC, all": area(score, truth.pcvr)}
    found, target = scores["pcvr"].to_numpy(), truth.pcvr
    safe = np.clip(found, 1e-12, 1 - 1e-12)
    loss = -(target * np.log(safe) + (1 - target) * np.log1p(-safe))
    joint = scores["pctcvr"].to_numpy()
    return {
        "AUC, all": area(found, target),
        "log loss, all": float(loss.mean()),
        "relative bias, all": float(found.mean() / target.mean() - 1),
        "relative bias, non-clicks": float(
            found[~click].mean() / truth.pcvr_unclicked[~click].mean() - 1
        ),
        "AUC, clicks": area(found[click], truth.pcvr_clicked[click]),
        "relative bias, clicks": float(found[click].mean() / truth.pcvr_clicked[click].mean() - 1),
        "CTCVR AUC, all": area(joint, truth.pctcvr),
    }


def area(score: np.ndarray, target: np.ndarray) -> float:
    return float(auc(torch.from_numpy(score.copy()), torch.from_numpy(target.copy())))


def part_file(out: Path, part: tuple[int, int]) -> Path:
    index, parts = part
    return out if parts == 1 else out.with_name(f"{out.stem}.part-{index}-of-{parts}.json")


def read_cells(out: Path, settings: Mapping[str, int]) -> dict[Cell, dict[str, Any]]:
    """All finished cells, of the result and of every part beside it."""
    found: dict[Cell, dict[str, Any]] = {}
    for path in (out, *sorted(out.parent.glob(f"{out.stem}.part-*.json"))):
        if not path.exists():
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["settings"] != dict(settings):
            raise SystemExit(
                f"{path} holds cells of {content['settings']}, not of {dict(settings)}: move it "
                "away, or name another --out"
            )
        for record in content["cells"]:
            found[record["seed"], record["scenario"], record["method"]] = record
    return found


def write_cells(
    path: Path, cells: Mapping[Cell, Mapping[str, Any]], settings: Mapping[str, int]
) -> None:
    content = {
        "command": f"python benchmarks/leaderboard/methods.py --rows {settings['rows']} "
        f"--test-rows {settings['test_rows']}",
        "settings": dict(settings),
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
        "cells": [cells[cell] for cell in sorted(cells)],
    }
    with atomic_path(path) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Five digits; JSON has no NaN."""
    found = dict(figures)
    for name, value in figures.items():
        if not isinstance(value, str):
            found[name] = round(value, 5) if np.isfinite(value) else None
    return found


def run(
    cells: list[Cell], out: Path, part: tuple[int, int], settings: Mapping[str, int]
) -> dict[Cell, dict[str, Any]]:
    """Fit what this part has left to do, and merge the parts where nobody has anything left."""
    index, parts = part
    path = part_file(out, part)
    mine = {} if not path.exists() else read_cells(path, settings)
    for number, cell in enumerate(cells):
        if number % parts != index or cell in read_cells(out, settings):
            continue
        seed, scenario, method = cell
        try:
            figures = fit_and_measure(cell, settings["rows"], settings["test_rows"])
        except (CompositionError, DataError) as error:
            # Too few rows for this method, or a funnel that it does not take: said in the result,
            # and the others go on.
            figures = {"error": str(error)}
        mine[cell] = {
            "seed": seed, "scenario": scenario, "method": method, **rounded(figures)
        }  # fmt: skip
        write_cells(path, mine, settings)
        said = ", ".join(f"{name} {mine[cell].get(name)}" for name in SAID)
        said = mine[cell].get("error", said)
        print(f"{number + 1}/{len(cells)} seed {seed} {scenario} {method}: {said}", flush=True)
    found = read_cells(out, settings)
    if set(cells) <= set(found):
        write_cells(out, found, settings)
        for left in out.parent.glob(f"{out.stem}.part-*.json"):
            left.unlink(missing_ok=True)
    return found


def as_part(text: str) -> tuple[int, int]:
    index, _, parts = text.partition("/")
    if not (index.isdigit() and parts.isdigit() and int(index) < int(parts)):
        raise argparse.ArgumentTypeError(f"a part reads 0/2 or 1/2, found {text!r}")
    return int(index), int(parts)


def main(arguments: list[str] | None = None) -> int:
    description = inspect.getdoc(sys.modules[__name__]) or ""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--test-rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--part", type=as_part, default=(0, 1), help="such as 0/2")
    parser.add_argument("--table", action="store_true", help="only show what there is")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    settings = {"rows": given.rows, "test_rows": given.test_rows}
    cells = [
        (seed, scenario, method)
        for seed in range(given.seeds)
        for scenario in given.scenarios
        for method in given.methods
    ]
    if given.table:
        found = read_cells(given.out, settings)
    else:
        found = run(cells, given.out, given.part, settings)
        left = set(cells) - set(found)
        if left:
            print(f"{len(left)} cells are left to the other parts")
            return 0
    table = summarise([found[cell] for cell in cells if cell in found])
    print_table(table, settings)
    if table["relative bias, all"].notna().any():
        draw(table, given.figure, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
