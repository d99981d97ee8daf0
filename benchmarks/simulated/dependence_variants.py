"""How lambda is found, what is made of it, and what becomes of it where positions are not random.

    python benchmarks/simulated/dependence_variants.py [--limit 1]

*Ways*: the moment, the moment with the towers refitted, the profile likelihood and the joint
likelihood, on the scenarios of benchmarks/simulated/dependence.py at the full effect of the position.

*Policies*: `dense`, where nothing is hidden, with positions at random or given by a ranker that
knows the click score; and with all that is said of items left out of the model, so that the ranker
knows what the model lacks.

Cells are written one at a time, so that an interrupted run goes on; `--limit` stops after so many.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from methods import measure, rounded

from mtl_seq import FunnelEstimator, Schema, models, simulate
from mtl_seq._files import atomic_path
from mtl_seq.errors import SelectionWarning
from mtl_seq.experiments.compare import versions
from mtl_seq.fit.prediction import score_rows
from mtl_seq.models import DependenceConfig

RESULT = Path(__file__).parent / "results" / "dependence_ways.json"
ROWS, TEST_ROWS, SEED, SLOTS = 200_000, 100_000, 0, 10
WAYS = {
    "moment": DependenceConfig(),
    "moment, refitted": DependenceConfig(refit=True),
    "profile": DependenceConfig("profile"),
    "joint": DependenceConfig("joint"),
}
WORLDS = ("mnar", "hidden", "dense")
ITEMS = ("item_id", "item_category", "item_brand", "price")
POLICIES = {
    "random, all features": ("uniform", ()),
    "ranked, all features": ("top_k", ()),
    "random, items left out": ("uniform", ITEMS),
    "ranked, items left out": ("top_k", ITEMS),
}
Cell = tuple[str, str]


def scenario_of(scenario: str, policy: str) -> simulate.LogisticFunnel:
    exposure = {
        "policy": policy,
        "slots": SLOTS,
        "candidates": 3 * SLOTS,
        "strength": 3.0,
        "position_effect": 1.0,
    }
    return simulate.scenario(scenario, seed=SEED, exposure=exposure)


def measured(
    simulator: simulate.LogisticFunnel, schema: Schema, dependence: DependenceConfig
) -> dict[str, Any]:
    """Fit one way in one scenario."""
    log, _ = simulator.sample(ROWS, np.random.default_rng([SEED, 1]))
    test, truth = simulator.sample(TEST_ROWS, np.random.default_rng([SEED, 2]))
    click = test["click"].to_numpy() == 1
    builder = partial(models.esmm_dependent, dependence=dependence)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        estimator = FunnelEstimator(builder, schema, seed=SEED).fit(log)
    seconds = time.perf_counter() - start
    found = estimator.dependence_
    assert found is not None
    figures = measure(estimator.predict(test), click, truth)
    if not found.by_network:
        rows = estimator.codec_.encode(test, labels=False)
        base = score_rows(estimator.model_.network, rows)
        figures["relative bias of the base, all"] = float(base.pcvr.mean() / truth.pcvr.mean() - 1)
    return rounded(
        {
            **figures,
            "relative bias of P(r | x, click), all": float(
                truth.pcvr_clicked.mean() / truth.pcvr.mean() - 1
            ),
            "lambda": found.test.log_odds_ratio,
            "standard error": found.test.standard_error,
            "t": found.test.t,
            "verdict": found.test.verdict,
            "level share": found.test.level_share,
            "seconds": seconds,
        }
    )


def way(scenario: str, name: str) -> dict[str, Any]:
    simulator = scenario_of(scenario, "uniform")
    return measured(simulator, simulator.schema, WAYS[name])


def under(scenario: str, name: str) -> dict[str, Any]:
    policy, left_out = POLICIES[name]
    simulator = scenario_of(scenario, policy)
    roles = simulator.schema.to_dict()
    for kind in ("ids", "dense"):
        roles[kind] = [column for column in roles[kind] if column not in left_out]
    return measured(simulator, Schema.from_dict(roles), DependenceConfig())


def planned() -> dict[Cell, Callable[[], dict[str, Any]]]:
    cells: dict[Cell, Callable[[], dict[str, Any]]] = {
        ("policy", name): partial(under, "dense", name) for name in POLICIES
    }
    for scenario in WORLDS:
        for name in WAYS:
            cells[scenario, name] = partial(way, scenario, name)
    return cells


def write(path: Path, cells: Mapping[Cell, Mapping[str, Any]]) -> None:
    records = [
        {"scenario": simulator, "way": name, **cells[simulator, name]} for simulator, name in cells
    ]
    content = {
        "command": "python benchmarks/simulated/dependence_variants.py",
        "settings": {"rows": ROWS, "test_rows": TEST_ROWS, "seed": SEED, "slots": SLOTS},
        "versions": versions(),
        "cells": records,
    }
    with atomic_path(path) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ways to find lambda, and policies of positions.")
    parser.add_argument("--limit", type=int, default=len(planned()), help="cells to run at most")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    found: dict[Cell, dict[str, Any]] = {}
    if given.out.exists():
        for record in json.loads(given.out.read_text(encoding="utf-8"))["cells"]:
            found[record.pop("scenario"), record.pop("way")] = record
    left = [cell for cell in planned() if cell not in found][: given.limit]
    for cell in left:
        found[cell] = planned()[cell]()
        write(given.out, found)
        said = ("lambda", "standard error", "verdict", "relative bias, all", "log loss, all")
        print(cell, {name: found[cell].get(name) for name in said}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
